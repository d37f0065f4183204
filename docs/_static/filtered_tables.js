// Above the first table of statements: a search field and a button for each verdict, which filter all tables of the page.
// DataTables, which brings its own jQuery along, does the searching.
(() => {
  const elements = [...document.querySelectorAll("table.filtered")];
  const rows = elements.flatMap((table) => [...table.tBodies[0].rows]);
  const layout = { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null };
  const tables = window
    .tablesQuery(elements)
    .DataTable({ paging: false, ordering: false, autoWidth: false, layout });

  const panel = document.createElement("form");
  panel.className = "filter";
  panel.setAttribute("role", "search");
  panel.innerHTML = `
    <label>Words <input type="search" placeholder="Eq. 4, Adam, whitening …"></label>
    <fieldset><legend>Verdicts</legend></fieldset>
    <p aria-live="polite"></p>`;
  panel.addEventListener("submit", (event) => event.preventDefault());
  const words = panel.querySelector("input");
  words.addEventListener("input", filter);

  const names = ["holds", "holds if", "false", "borne out", "not borne out", "undecided", "none"];
  const buttons = names.map((name) => {
    const button = document.createElement("button");
    const kind = `verdict-${name.replaceAll(" ", "-")}`;
    const count = rows.filter((row) => row.querySelector(`.${kind}`)).length;
    button.type = "button";
    button.className = `verdict ${kind}`;
    button.textContent = `${name} ${count}`;
    button.dataset.sought = `${kind}"`; // as it stands in a row's HTML: holds is no beginning of holds if
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      filter();
    });
    panel.querySelector("fieldset").append(button);
    return button;
  });

  function filter() {
    const sought = buttons.filter((button) => button.ariaPressed === "true").map((button) => button.dataset.sought);
    tables.search.fixed("verdict", (_text, cells) => !sought.length || sought.some((kind) => cells[0].includes(kind)));
    tables.search(words.value).draw();
    elements.forEach((element) => {
      const section = element.closest("section");
      section.hidden = tables.table(element).rows({ search: "applied" }).count() === 0;
      for (const link of document.querySelectorAll(`.page-toc a[href="#${section.id}"]`)) {
        link.parentElement.hidden = section.hidden;
      }
    });
    const left = tables.rows({ search: "applied" }).count();
    panel.querySelector("p").textContent = `${left} of ${rows.length} statements`;
  }

  elements[0].closest("section").before(panel);
  filter();
})();
