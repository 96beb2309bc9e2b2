"""``migradetect evaluate``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
            "Not needed to compare two reviewers.",
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
            help="With --agreement: two people who reviewed these results; - is the one without a name. "
            "Not needed where just two did.",
            show_default=False,
        ),
    ] = None,
    reviewer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Score the corrections of this person, where several have reviewed; - is the one without a name.",
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

    if reviewers is not None or (agreement and truth is None):
        if reviewer is not None or automatic:
            raise ParamsError("--agreement of two reviewers: expected neither --reviewer nor --automatic beside it")
        if not agreement or truth is not None:
            raise ParamsError(f"--reviewers: expected --agreement and no truth beside it, got '{reviewers}'")
        _finish(_agreement_of_reviewers(results, reviewers), out)
        return
    if reviewer is not None and (automatic or _is_csv(results)):
        raise ParamsError("--reviewer: expected a folder of results and no --automatic; leave one of them out")
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
    whose = _Whose(reviewer, automatic)
    whose.check(results, found)
    if agreement:
        parts = [agreement_of(*_load(*pair, pixel_size_um, whose)) for pair in pairs]
        scores = pd.concat(parts, ignore_index=True)
    else:
        scores = evaluate_many(_load(*pair, pixel_size_um, whose) for pair in pairs)
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


def _agreement_of_reviewers(results: Path, names: str | None) -> pd.DataFrame:
    """Agreement of two people on the movies that both have reviewed."""
    import pandas as pd

    from migradetect.cli._console import print_note
    from migradetect.errors import NoMoviesError
    from migradetect.evaluate import agreement as agreement_of
    from migradetect.io import load
    from migradetect.review import log_path, reviewed

    folders = load(results).movie_folders
    two = _two(results, names, _known_reviewers(folders.values()))
    scores = []
    for movie_id, folder in folders.items():
        missing = [name or "-" for name in two if not log_path(folder, name).is_file()]
        if missing:
            print_note(f"{movie_id}: not compared, because {' and '.join(missing)} did not review it")
            continue
        one, other = (reviewed(folder, reviewer=name) for name in two)
        scores.append(agreement_of(one, other, _pixel_size(one, other)))
    if not scores:
        both = " and ".join(name or "-" for name in two)
        raise NoMoviesError(f"{results}: expected movies that {both} both reviewed, got none")
    return pd.concat(scores, ignore_index=True)


def _two(results: Path, names: str | None, known: list[str | None]) -> tuple[str | None, str | None]:
    """The two who are compared: those who are named, or the only two there are."""
    from migradetect.cli._console import print_note
    from migradetect.errors import NoMoviesError, ParamsError
    from migradetect.review import log_path

    listed = ", ".join(name or "-" for name in known) or "nobody"
    if names is None:
        if len(known) != 2:
            raise ParamsError(
                f"{results}: expected just two reviewers, got {listed}; name two with --reviewers ONE,OTHER, "
                "or give truth to score against"
            )
        print_note(f"agreement of {known[0] or '-'} and {known[1] or '-'}")
        return known[0], known[1]
    two = [_name(text) for text in names.split(",")]
    logs = {log_path(results, name).name for name in known}
    if len(two) != 2 or log_path(results, two[0]) == log_path(results, two[1]):
        raise ParamsError(f"--reviewers: expected two names, got '{names}'; those who reviewed: {listed}")
    for name in two:
        if log_path(results, name).name not in logs:
            raise NoMoviesError(f"{results}: expected one of the reviewers {listed}, got '{name or '-'}'")
    return two[0], two[1]


def _name(text: str) -> str | None:
    """Reviewer that is meant; None is the one without a name."""
    return None if text.strip() in ("", "-") else text.strip()


def _known_reviewers(folders: Iterable[Path]) -> list[str | None]:
    """Everybody with a log in any of the folders; the one without a name comes first."""
    from migradetect.review import reviewers

    return sorted({name for folder in folders for name in reviewers(folder)}, key=lambda name: name or "")


@dataclass(frozen=True)
class _Whose:
    """Which state of the results is scored."""

    reviewer: str | None
    is_automatic: bool

    def check(self, results: Path, folders: Mapping[str, Path]) -> None:
        """Refuse a name that no movie knows, and no name where several people have reviewed."""
        from migradetect.errors import EditError, NoMoviesError, ParamsError
        from migradetect.review import choose_reviewer, log_path

        if self.is_automatic:
            return
        if self.reviewer is None:
            try:
                for folder in folders.values():
                    choose_reviewer(folder)
            except EditError as error:
                raise ParamsError(f"{error}, or --automatic") from error
            return
        if not any(log_path(folder, _name(self.reviewer)).is_file() for folder in folders.values()):
            known = ", ".join(name or "-" for name in _known_reviewers(folders.values())) or "nobody"
            raise NoMoviesError(f"{results}: expected one of the reviewers {known}, got '{self.reviewer}'")

    def load(self, path: Path) -> Results:
        """Results in their reviewed state, where somebody reviewed them; says so."""
        from migradetect.cli._console import print_note
        from migradetect.io import load_results
        from migradetect.review import log_path, reviewed, reviewers

        if self.is_automatic or not reviewers(path):
            return load_results(path)
        if self.reviewer is None:
            results = reviewed(path)
        else:
            name = _name(self.reviewer)
            if not log_path(path, name).is_file():
                print_note(f"{path.name}: {self.reviewer} did not review it, so what the analysis found is scored")
                return load_results(path)
            results = reviewed(path, reviewer=name)
        known = results.provenance["review"]
        print_note(
            f"{results.movie_id}: the reviewed state is scored, {known['n_edits']} corrections of {known['log']}; "
            "--automatic scores what the analysis found"
        )
        return results


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _load(
    result_path: Path, truth_path: Path, pixel_size_um: float | None, whose: _Whose
) -> tuple[Results, Results, float]:
    from migradetect.calibration import Calibration
    from migradetect.io import load_hand_counts, load_results

    paths = (result_path, truth_path)
    known = {
        path: whose.load(path) if path == result_path else load_results(path) for path in paths if not _is_csv(path)
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
