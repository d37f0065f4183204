// Tables of class "filtered" get a search field and a menu of verdicts. DataTables is loaded only where there is one.
const tables = document.querySelectorAll("table.filtered, .filtered > table, .filtered table");
if (tables.length) {
  const folder = new URL(".", import.meta.url);
  const { DataTable } = await import(new URL("dt_bundle.js", folder));
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("dt_bundle.css", folder) });
  document.head.append(style);
  for (const table of tables) new DataTable(table, { paging: false, ordering: false, info: true });
}
