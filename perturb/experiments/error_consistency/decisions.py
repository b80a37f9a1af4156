"""Files of people's decisions, in the format of Geirhos et al. (model-vs-human): a row a trial."""

from pathlib import Path

from perturb.messages import listed

#: Person, answer, category of the image, name of the image. Other columns are not read.
COLUMNS = ("subj", "object_response", "category", "imagename")


def columns_lacked(file: Path) -> str | None:
    """Return what is wrong with the header of a file, None if it has all columns."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            header = opened.readline()
    except UnicodeDecodeError:
        return f"{file} is no CSV file in UTF-8"
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    names = [name.strip().strip('"').lower() for name in header.split(",")]
    lacked = [name for name in COLUMNS if name not in names]
    return f"{file} has no column {listed(lacked)}; needed: {listed(COLUMNS)}" if lacked else None
