"""
chatmaild's unit tests in a temporary view of the machine image, with a relay's libraries.

The image and the repository are read-only there, and the only network is loopback.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence

from harness.image import image
from harness.places import CHATMAILD, CHECKOUT

# $1 image, $2 an empty directory for the mounts, $3 repository; then the command.
ENTER = """
set -e
mount -t tmpfs none "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
root="$2/root"
mkdir "$root/repository"
mount --bind "$3" "$root/repository"
mount -o remount,ro,bind "$root/repository"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs none "$root/run"
ip link set lo up
shift 3
cd /
# Not exec: a program that is PID 1 behaves unlike itself.
chroot "$root" "$@"
"""


def run(suite: str, arguments: Sequence[str]) -> int:
    """Run pytest for pkgs/chatmaild in the suite's image; return its exit status."""
    with tempfile.TemporaryDirectory() as place:
        root = image(suite)
        separate = ["unshare", "--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", "--"]
        enter = [*separate, "sh", "-c", ENTER, "sh", str(root), place, str(CHECKOUT)]
        inside = f"/repository/{CHATMAILD.relative_to(CHECKOUT)}"
        settings = ["HOME=/root", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"]
        settings.append("HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis")
        become = ["env", "-i", f"--chdir={inside}", "PATH=/usr/sbin:/usr/bin", *settings]
        pytest = ["python3", "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run([*enter, *become, *pytest], check=False).returncode
