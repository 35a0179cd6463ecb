"""File systems of drills: an ext4 on a loop device, whose power can be cut, and a small one in memory, which can be full.

Both need root. Where they cannot be had, the drills are skipped by name.
"""

import os
import shutil
import subprocess

from ground import Skipped


def command(*words):
    """Runs a command that must succeed; its output."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


class Mount:
    """A file system that is mounted on a folder."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def close(self):
        """Unmounts it; lazily, if something is still in it."""
        if subprocess.run(["umount", self.folder], capture_output=True, check=False).returncode != 0:
            subprocess.run(["umount", "-l", self.folder], capture_output=True, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Image(Mount):
    """An ext4 in an image file."""

    def __init__(self, folder, image, megabytes=None):
        super().__init__(folder)
        self.image = image
        try:
            if megabytes:
                command("truncate", "-s", f"{megabytes}M", image)
                command("mkfs.ext4", "-q", "-F", image)
            command("mount", "-o", "loop", image, folder)
        except OSError as error:
            raise OSError(f"no ext4 on a loop device: {error}") from error

    def cut(self, target):
        """Copies what is on the disk at this moment, without what the system has only in memory. Nothing is synced."""
        command("cp", "--sparse=always", self.image, target)

    def commit_something_else(self):
        """Another program syncs a file of its own: the journal of the file system goes with it, names and lengths of files
        whose content was not synced included."""
        with open(self.folder / "another-file", "ab") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())


class Small(Mount):
    """A file system in memory whose size can be changed."""

    def __init__(self, folder, megabytes=512):
        super().__init__(folder)
        self.megabytes = megabytes
        command("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder)

    def fill(self, left_kibibytes):
        """Lets so much room be left."""
        usage = shutil.disk_usage(self.folder)
        command("mount", "-o", f"remount,size={usage.used // 1024 + left_kibibytes}k", self.folder)

    def grow(self):
        command("mount", "-o", f"remount,size={self.megabytes}m", self.folder)


def need_root(what):
    if os.geteuid() != 0:
        raise Skipped(f"{what} needs root")


def need_loop(place):
    """Tries whether an image can be mounted."""
    need_root("a loop device")
    try:
        Image(place / "tried", place / "tried.image", 16).close()
    except OSError as error:
        raise Skipped(str(error)) from error


def need_small(place):
    need_root("a disk that is full")
    try:
        Small(place / "tried-small", 1).close()
    except OSError as error:
        raise Skipped(str(error)) from error
