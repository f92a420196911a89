"""Renders the leaderboard from the entries of all systems.

python -m common.stages.leaderboard --entries leaderboard/entries --seeds leaderboard/seeds --out leaderboard/README.md
--page leaderboard/board.html --data data
"""

from pathlib import Path

from common.commands import run_stage


def main(entries: Path, seeds: Path, out: Path, page: Path, data: Path) -> None:
    """Rank the entries: --out is Markdown, --page one HTML file with cells of the first system out of --data."""
    from common.board.examples import examples_of
    from common.board.page import page as render
    from common.board.rows import add_seeds, rank, read_entries
    from common.board.text import markdown, terminal
    from common.files import atomic, exclusive

    found = read_entries(entries, Path("approaches"))
    add_seeds(found, seeds)
    rows = rank(found)
    first = next((row.name for row in rows if not row.control), None)
    examples = examples_of(first, data) if first else []
    with exclusive(out), atomic(out) as text, atomic(page) as html:
        text.write_text(markdown(rows))
        html.write_text(render(rows, examples))
    print(terminal(rows))


if __name__ == "__main__":
    run_stage(main)
