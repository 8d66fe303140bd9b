"""The questions of analysts, finance and support, answered from the store: `marimo run docs/notebooks/questions.py`.

It needs `pip install 'backhaul[notebook]'`, and reads the store of backhaul.toml, or of the config that BACKHAUL_CONFIG names. The
questions and their SQL are those of the console's /data; change one there (backhaul/store/questions.py) or copy its SQL into a cell.
"""

import marimo

app = marimo.App(width="medium", app_title="Backhaul: questions")


@app.cell
def _():
    import marimo as mo

    return (mo,)


@app.cell
def _():
    from backhaul import config
    from backhaul.store.engine import Store
    from backhaul.store.questions import QUESTIONS, answer

    store = Store(config.load().store_url(), for_reading=True)
    with store.read() as connection:
        answers = [(question, *answer(connection, question)) for question in QUESTIONS]
    store.close()
    return (answers,)


@app.cell
def _(answers, mo):
    def shown(question, columns, rows):
        table = mo.ui.table(rows, selection=None) if rows else mo.md(f"Nothing: no row of {', '.join(columns)}.")
        return mo.vstack([mo.md(f"## {question.asked}"), table, mo.accordion({"SQL": mo.md(f"```sql\n{question.sql}\n```")})])

    mo.vstack([mo.md("# Questions"), *(shown(*one) for one in answers)])
    return


if __name__ == "__main__":
    app.run()
