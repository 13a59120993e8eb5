#!/bin/sh
# Makes .venv/ray (some 630 MB) and out/ray-demo where they are not yet, and runs test.py. Needs Python 3.11 or newer, and `npm run build`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=$root/.venv/ray/bin/python
[ -x "$python" ] || "${PYTHON:-python3}" -m venv "$root/.venv/ray"
"$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
mkdir -p "$root/out"
[ -d "$root/out/ray-demo" ] || node "$root/dist/src/cli/main.js" convert "$root/test/models/demo/model.onnx" -o "$root/out/ray-demo"
"$python" "$here/manifest.py"
exec "$python" "$here/test.py" "$root/out/ray-demo"
