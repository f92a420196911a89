"""Reports how noisy image labels are, for people; no stage learns from it.

python -m common.stages.noise --images data/images --truth data/truth --out noise.csv
"""

from pathlib import Path

from common.commands import run_stage


def main(
    out: Path,
    images: Path | None = None,
    truth: Path | None = None,
    scores: Path | None = None,
    number: str = "cell_id",
    shown_from: int = 3,
    cells: Path | None = None,
    labels: Path | None = None,
    predictions: Path | None = None,
) -> None:
    """How often does a cell show what its image is labelled with? --out gets a row a class.

    Cells are judged by --truth, or by --scores (a CSV: ID, class, score and the column --number) of which --shown-from
    is the least that counts as shown; image labels are those of --images. --cells is a CSV of labelled cells that has
    both. With --labels and --predictions (a labels table and an out-of-fold table) cleanlab gives its opinion, too.
    """
    from common.errors import ParamsError
    from common.files import atomic
    from common.image_table import read_images
    from common.labels import noise
    from common.labels.scores import read_scores
    from common.predictions import read_predictions
    from common.tables import read_table
    from common.truth import COLUMNS, read_truth

    if sum(given is not None for given in (truth, scores, cells)) != 1 or (images is None) == (cells is None):
        raise ParamsError("give --images and one of --truth and --scores, or --cells alone")
    if cells:
        judged, known = noise.judged_by_list(cells)
    elif images:
        table = read_images(images)
        known = {
            i: tuple(found) for i, found in zip(table["image_id"], table["labels"], strict=True) if len(found)
        }
        judged = (
            noise.judged_in_table(read_truth(truth))
            if truth
            else noise.judged_by_score(read_scores(Path(str(scores)), {}, (number,)), shown_from)
        )
    report = noise.noise_of_labels(judged, known)
    if labels and predictions:
        remedy = "the labels stage of an approach"
        opinion = noise.second_opinion(read_table(labels, COLUMNS, remedy), read_predictions(predictions))
        report = report.merge(opinion, on="class")
    with atomic(out) as part:
        report.to_csv(part, index=False)
    print(report.dropna(axis=1, how="all").to_string(index=False, float_format="{:.3f}".format, na_rep=""))


if __name__ == "__main__":
    run_stage(main)
