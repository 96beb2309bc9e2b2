"""``migradetect evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from migradetect.results import Results

NAME = "evaluate"
EXAMPLE = "Example: [bold]migradetect evaluate results simulated/truth --out scores.csv[/]"

#: More movies than this are shown only together.
_MAX_COLUMNS = 5
#: Name of a movie that only hand counts know.
_COUNTS = "counts"


def command(
    results: Annotated[
        Path,
        typer.Argument(help="Output folder of a run, or of one movie; or a CSV of hand counts.", show_default=False),
    ],
    truth: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of truths, or of one movie's truth; or a CSV of hand counts (frame, y_um, x_um, and more). "
            "Not needed with --reviewers.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the scores as CSV.", show_default=False)] = None,
    agreement: Annotated[
        bool, typer.Option("--agreement", help="Compare two counters, neither of whom is the truth.")
    ] = False,
    reviewers: Annotated[
        str | None,
        typer.Option(
            metavar="ONE,OTHER",
            help="With --agreement: two people who reviewed these results; - is the one without a name.",
            show_default=False,
        ),
    ] = None,
    automatic: Annotated[
        bool, typer.Option("--automatic", help="Score what the analysis found, without the corrections of a review.")
    ] = False,
    pixel_size_um: Annotated[
        float | None,
        typer.Option(help="Edge of a pixel, for counts in pixels without results of the movie.", show_default=False),
    ] = None,
) -> None:
    """Score results against the truth, object by object; or see how well two counters agree."""
    import pandas as pd

    from migradetect.cli._console import print_note
    from migradetect.errors import NoMoviesError, ParamsError
    from migradetect.evaluate import POOLED, evaluate_many
    from migradetect.evaluate import agreement as agreement_of

    if reviewers is not None:
        _finish(_agreement_of_reviewers(results, reviewers, agreement and truth is None), out)
        return
    if truth is None:
        raise ParamsError(
            "expected truth to score against, got none; give its folder, or --agreement --reviewers ONE,OTHER"
        )
    found, known = ({} if _is_csv(path) else _folders(path) for path in (results, truth))
    # a file of counts serves every movie of the other side; two files are of one movie
    found = found or dict.fromkeys(known or [_COUNTS], results)
    known = known or dict.fromkeys(found, truth)
    pairs = [(found[name], known[name]) for name in known if name in found]
    if not pairs and len(found) == len(known) == 1:
        # two single folders are meant for each other whatever their names
        pairs = list(zip(found.values(), known.values(), strict=True))
    if not pairs:
        raise NoMoviesError(
            f"{results}: expected results of {', '.join(known)}, got those of {', '.join(found)}; "
            "movies are matched by the name of their folder"
        )
    missing = [] if len(known) == 1 else sorted(known.keys() - found.keys())
    for name in missing:
        print_note(f"{name}: not scored, because {results} has no results for it")
    if agreement:
        parts = [agreement_of(*_load(*pair, pixel_size_um, automatic)) for pair in pairs]
        scores = pd.concat(parts, ignore_index=True)
    else:
        scores = evaluate_many(_load(*pair, pixel_size_um, automatic) for pair in pairs)
        if len(pairs) == 1:
            scores = scores[scores["movie_id"] != POOLED]
    _finish(scores, out)


def _finish(scores: pd.DataFrame, out: Path | None) -> None:
    from migradetect.cli._console import print_line
    from migradetect.io import atomic_write_text

    show_scores(scores)
    if out is not None:
        atomic_write_text(out, scores.to_csv(index=False))
        print_line(f"Scores: {out}")


def _agreement_of_reviewers(results: Path, names: str, is_asked_right: bool) -> pd.DataFrame:
    """Agreement of two people on the movies that both have reviewed."""
    import pandas as pd

    from migradetect.cli._console import print_note
    from migradetect.errors import NoMoviesError, ParamsError
    from migradetect.evaluate import agreement as agreement_of
    from migradetect.io import load
    from migradetect.review import log_path, reviewed

    two = [None if name.strip() in ("", "-") else name.strip() for name in names.split(",")]
    if not is_asked_right or len(two) != 2 or two[0] == two[1]:
        raise ParamsError(f"--reviewers: expected two names, --agreement and no truth, got '{names}'")
    scores = []
    for movie_id, folder in load(results).movie_folders.items():
        missing = [name or "-" for name in two if not log_path(folder, name).is_file()]
        if missing:
            print_note(f"{movie_id}: not compared, because {' and '.join(missing)} did not review it")
            continue
        one, other = (reviewed(folder, reviewer=name) for name in two)
        scores.append(agreement_of(one, other, _pixel_size(one, other)))
    if not scores:
        raise NoMoviesError(f"{results}: expected movies that {names.replace(',', ' and ')} both reviewed, got none")
    return pd.concat(scores, ignore_index=True)


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _found(path: Path, is_automatic: bool) -> Results:
    """Results in their reviewed state, where somebody reviewed them; says so."""
    from migradetect.cli._console import print_note
    from migradetect.io import load_results
    from migradetect.review import reviewed, reviewers

    if is_automatic or not reviewers(path):
        return load_results(path)
    results = reviewed(path)
    known = results.provenance["review"]
    print_note(
        f"{results.movie_id}: the reviewed state is scored, {known['n_edits']} corrections of {known['log']}; "
        "--automatic scores what the analysis found"
    )
    return results


def _load(
    result_path: Path, truth_path: Path, pixel_size_um: float | None, is_automatic: bool
) -> tuple[Results, Results, float]:
    from migradetect.calibration import Calibration
    from migradetect.io import load_hand_counts, load_results

    paths = (result_path, truth_path)
    known = {
        path: _found(path, is_automatic) if path == result_path else load_results(path)
        for path in paths
        if not _is_csv(path)
    }
    size = _pixel_size(*reversed(known.values())) if known else pixel_size_um
    one = next(iter(known.values()), None)
    interval = one.provenance.get("calibration", {}).get("frame_interval_s") if one is not None else None
    calibration = Calibration(size, interval) if size is not None else None
    name = one.movie_id if one is not None else None
    result, truth = (known[path] if path in known else load_hand_counts(path, name, calibration) for path in paths)
    return result, truth, size or 1.0


def _folders(path: Path) -> dict[str, Path]:
    """Movie folders by name: the folder itself, or those below it."""
    from migradetect.errors import NoMoviesError

    if (path / "movie.json").exists():
        return {path.resolve().name: path}
    if not path.is_dir():
        raise NoMoviesError(
            f"{path}: expected a folder of results, got {'a file' if path.exists() else 'nothing'} there"
        )
    found = {item.name: item for item in sorted(path.iterdir()) if (item / "movie.json").exists()}
    if not found:
        raise NoMoviesError(f"{path}: expected folders with a movie.json, got none; `migradetect run` writes them")
    return found


def _pixel_size(*of: Results) -> float:
    from migradetect.errors import CalibrationError

    for source in (one.provenance for one in of):
        for place in (source.get("calibration"), source.get("summary"), source):
            if isinstance(place, dict) and place.get("pixel_size_um"):
                return float(place["pixel_size_um"])
    raise CalibrationError(f"{of[0].movie_id}: expected a pixel size in movie.json, got none; run again")


def show_scores(scores: pd.DataFrame) -> None:
    """Print one row per metric; one column per movie where they are few, else one for all movies."""
    from migradetect.cli._console import print_line, print_table
    from migradetect.evaluate import POOLED

    movies = list(dict.fromkeys(scores["movie_id"]))
    shown = movies if len(movies) <= _MAX_COLUMNS or POOLED not in movies else [POOLED]
    table = scores.loc[scores["movie_id"] == shown[-1], ["group", "metric", "unit", "n"]].reset_index(drop=True)
    for movie_id in shown:
        table[movie_id] = scores.loc[scores["movie_id"] == movie_id, "value"].to_numpy()
    undefined = int(table[shown].isna().all(axis=1).sum())
    table = table[table[shown].notna().any(axis=1)].reset_index(drop=True)
    table["group"] = table["group"].mask(table["group"].duplicated(), "")
    headings = {"group": "", "metric": "metric"} | {name: name for name in shown} | {"unit": "unit", "n": "n"}
    print_table(table, headings, digits=3, fold=shown)
    if undefined:
        print_line(f"{undefined} more metrics have nothing to rest on here; --out lists them too.")
