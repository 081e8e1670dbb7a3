"""Print the two command lines of the README, one a line; fail if there are not exactly two."""

import re
import sys
from pathlib import Path

blocks = re.findall(
    r"^```sh\n(.*?)^```$", Path(sys.argv[1]).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)
lines = [line for block in blocks for line in block.splitlines() if line.strip()]
if len(blocks) != 2 or len(lines) != 2:
    sys.exit(
        f"README: {len(blocks)} sh blocks with {len(lines)} lines; two blocks of one line each are expected"
    )
print("\n".join(lines))
