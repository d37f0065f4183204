"""The list of lectures, with what each is about."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="Lectures you can touch")


@app.cell
def _():
    import marimo as mo

    from copi_ref.lectures import LECTURES

    return LECTURES, mo


@app.cell
def _(LECTURES, mo):
    _lectures = "\n".join(
        f"{number}. [**{name.replace('_', ' ')}**](?file={name}.py): {about}"
        for number, (name, about) in enumerate(LECTURES.items(), start=1)
    )
    mo.md(f"# Lectures you can touch\n\n`copi_ref` computes every number in them.\n\n{_lectures}")
    return


if __name__ == "__main__":
    app.run()
