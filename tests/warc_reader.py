"""Reads the segments of an archive with warcio, a reader that this project did not write.

    python tests/warc_reader.py DIR

Prints one JSON object a line for each delivery: its id, and SHA-256 and length of its exact body. Fails if a digest in
a segment does not hold. Needs `pip install warcio`.
"""

import hashlib
import json
import pathlib
import sys

from warcio.archiveiterator import ArchiveIterator


def deliveries(segment):
    with segment.open("rb") as file:
        for record in ArchiveIterator(file, check_digests="raise"):
            body = record.content_stream().read()
            if record.rec_type == "request":
                yield {
                    "id": record.rec_headers["WARC-Record-ID"][len("<urn:uuid:") : -1],
                    "sha256": hashlib.sha256(body).hexdigest(),
                    "length": len(body),
                }


def main(directory):
    segments = [*directory.glob("*.warc"), *directory.glob("*.warc.open")]
    for segment in sorted(segments):
        for delivery in deliveries(segment):
            print(json.dumps(delivery))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
