"""Whether bills of materials are valid CycloneDX 1.5: valid.py FILE..."""

import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

validator = JsonStrictValidator(SchemaVersion.V1_5)
for name in sys.argv[1:]:
    error = validator.validate_str(pathlib.Path(name).read_text())
    if error:
        sys.exit(f"{name}: {error}")
    print(f"{name}: valid")
if not sys.argv[1:]:
    sys.exit("no bill of materials")
