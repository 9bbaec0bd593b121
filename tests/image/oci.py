#!/usr/bin/env python3
"""Makes the container image without a container engine, by the last stage of the Containerfile.

    cargo build --locked --release --target x86_64-unknown-linux-musl
    tests/image/oci.py --binary target/x86_64-unknown-linux-musl/release/whyd --output target/image

`--output` is an OCI image layout (https://github.com/opencontainers/image-spec, image-layout.md), for `skopeo copy oci:…` or
`podman pull oci:…`; `--archive` the same as one tar file (`podman load -i`); `--docker-archive` what `docker load -i` takes.

Python's standard library is enough. The same input gives the same digests: entries are sorted, belong to numbers and not to
names, and carry one time, that of SOURCE_DATE_EPOCH (1970 unless given).
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shlex
import struct
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OCI = "application/vnd.oci.image"
# Machine numbers of ELF (e_machine) and what Go, and with it OCI, calls them.
MACHINES = {62: "amd64", 183: "arm64"}
# Where the build stage leaves the program; --binary stands in for it.
BUILT = "/out/whyd"
AUTHORITIES = "/out/ca-certificates.crt"
STATE = "/out/state"


def fail(text):
    sys.exit(f"oci.py: {text}")


def instructions(text):
    """The instructions of the last stage: (name, rest) each, lines joined, comments gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    found = [(name.upper(), rest.strip()) for name, rest in found]
    last = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    if found[last][1] != "scratch":
        fail(f"the last stage is from {found[last][1]}, and there are no other images here")
    return found[last + 1 :]


def expanded(text, values):
    def value(match):
        if match[1] not in values:
            fail(f"${{{match[1]}}} is no ARG of the last stage")
        return values[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, text)


def pairs(text, values):
    """`NAME=value NAME="value"`."""
    return dict(word.split("=", 1) for word in shlex.split(expanded(text, values)))


class Stage:
    """What the last stage says of the image."""

    def __init__(self, containerfile, given):
        self.copies = []
        self.config = {}
        values = {}
        known = set()
        for name, rest in instructions(containerfile):
            if name == "ARG":
                key, _, default = rest.partition("=")
                known.add(key)
                values[key] = given.get(key, default)
            elif name == "COPY":
                self.copies.append(copy(rest))
            elif name == "LABEL":
                self.config.setdefault("Labels", {}).update(pairs(rest, values))
            elif name == "ENV":
                self.config.setdefault("Env", []).extend(f"{k}={v}" for k, v in pairs(rest, values).items())
            elif name == "USER":
                self.config["User"] = rest
            elif name == "EXPOSE":
                self.config.setdefault("ExposedPorts", {})[rest] = {}
            elif name == "VOLUME":
                self.config.setdefault("Volumes", {})[rest] = {}
            elif name in ("ENTRYPOINT", "CMD"):
                self.config[name.capitalize()] = json.loads(rest)
            else:
                fail(f"the last stage has {name}, which this script does not know")
        if unknown := set(given) - known:
            fail(f"no ARG of the last stage: {', '.join(sorted(unknown))}")


def copy(rest):
    """(from the build stage, owner, source, destination)"""
    words = shlex.split(rest)
    options = dict(word.lstrip("-").split("=", 1) for word in words if word.startswith("--"))
    source, destination = (word for word in words if not word.startswith("--"))
    if unknown := set(options) - {"from", "chown"} or options.get("from") not in (None, "build"):
        fail(f"COPY with {unknown}, which this script does not know")
    owner = tuple(int(number) for number in options.get("chown", "0:0").split(":"))
    return "from" in options, owner, source, destination


def layer(source, owner, destination, epoch):
    """A layer with one file, or an empty directory, and the directories above it."""
    blob = io.BytesIO()
    with tarfile.open(fileobj=blob, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for parent in reversed(Path(destination.lstrip("/")).parents[:-1]):
            tar.addfile(entry(str(parent), (0, 0), epoch, tarfile.DIRTYPE, 0o755))
        name = destination.lstrip("/")
        if source is None:
            tar.addfile(entry(name, owner, epoch, tarfile.DIRTYPE, 0o755))
        else:
            content = source.read_bytes()
            mode = 0o755 if content.startswith(b"\x7fELF") else 0o644
            info = entry(name, owner, epoch, tarfile.REGTYPE, mode)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return blob.getvalue()


def entry(name, owner, epoch, kind, mode):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, epoch
    info.uid, info.gid = owner
    return info


def sha256(blob):
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def encoded(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def architecture(binary):
    head = binary.open("rb").read(20)
    if head[:4] != b"\x7fELF":
        fail(f"{binary} is no ELF file")
    machine = struct.unpack("<H", head[18:20])[0]
    return MACHINES.get(machine) or fail(f"{binary} is for machine {machine}, which is neither amd64 nor arm64")


def is_static(binary):
    """Whether no segment asks for an interpreter (PT_INTERP): an image from scratch has none."""
    content = binary.read_bytes()
    offset = struct.unpack("<Q", content[32:40])[0]
    size, count = struct.unpack("<HH", content[54:58])
    kinds = (struct.unpack("<I", content[offset + i * size :][:4])[0] for i in range(count))
    return 3 not in kinds


class Image:
    """The blobs of an image, and what points at them."""

    def __init__(self, stage, files, epoch, arch):
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
        self.blobs, self.layers, diff_ids, history = {}, [], [], []
        for built, owner, source, destination in stage.copies:
            tar = layer(files(built, source), owner, destination, epoch)
            # No name and no time in the header, which would differ from run to run.
            packed = gzip.compress(tar, compresslevel=6, mtime=0)
            self.layers.append(self.add(f"{OCI}.layer.v1.tar+gzip", packed))
            diff_ids.append(sha256(tar))
            history.append({"created": created, "created_by": f"COPY {source} {destination}"})
        config = encoded({
            "architecture": arch,
            "config": stage.config,
            "created": created,
            "history": history,
            "os": "linux",
            "rootfs": {"diff_ids": diff_ids, "type": "layers"},
        })
        self.config = self.add(f"{OCI}.config.v1+json", config)
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": self.config,
            "layers": self.layers,
            "annotations": stage.config["Labels"],
        }
        self.manifest = self.add(f"{OCI}.manifest.v1+json", encoded(manifest))
        self.platform = {"architecture": arch, "os": "linux"}

    def add(self, kind, blob):
        digest = sha256(blob)
        self.blobs[digest] = blob
        return {"mediaType": kind, "digest": digest, "size": len(blob)}

    def path(self, descriptor):
        return "blobs/" + descriptor["digest"].replace(":", "/")

    def oci_files(self, tag):
        """The files of an image layout."""
        named = {"org.opencontainers.image.ref.name": tag}
        index = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.index.v1+json",
            "manifests": [{**self.manifest, "platform": self.platform, "annotations": named}],
        }
        files = {"oci-layout": encoded({"imageLayoutVersion": "1.0.0"}), "index.json": encoded(index)}
        files.update(("blobs/" + digest.replace(":", "/"), blob) for digest, blob in self.blobs.items())
        return files

    def docker_files(self, tag):
        """The files of what `docker save` writes: layers, configuration, and a list of both."""
        files = {self.path(part): self.blobs[part["digest"]] for part in [self.config, *self.layers]}
        manifest = {"Config": self.path(self.config), "RepoTags": [f"whyd:{tag}"], "Layers": list(map(self.path, self.layers))}
        files["manifest.json"] = encoded([manifest])
        return files


def write_tar(path, files, epoch):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        parents = {str(parent) for name in files for parent in Path(name).parents} - {"."}
        for name in sorted(parents | set(files)):
            if name in parents:
                tar.addfile(entry(name, (0, 0), epoch, tarfile.DIRTYPE, 0o755))
            else:
                info = entry(name, (0, 0), epoch, tarfile.REGTYPE, 0o644)
                info.size = len(files[name])
                tar.addfile(info, io.BytesIO(files[name]))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--binary", type=Path, required=True, help="the static program")
    parser.add_argument("--ca-bundle", type=Path, default=Path("/etc/ssl/certs/ca-certificates.crt"))
    parser.add_argument("--output", type=Path, help="directory for an OCI image layout")
    parser.add_argument("--archive", type=Path, help="file for the same as a tar")
    parser.add_argument("--docker-archive", type=Path, help="file for `docker load`")
    parser.add_argument("--tag", default="latest")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    if not (args.output or args.archive or args.docker_archive):
        parser.error("nothing to write: --output, --archive or --docker-archive")
    for path in (args.binary, args.ca_bundle):
        if not path.is_file():
            fail(f"{path} is not there")
    if not is_static(args.binary):
        fail(f"{args.binary} is not static: build it with --target x86_64-unknown-linux-musl")
    return args


def main():
    args = arguments()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    given = dict(pair.split("=", 1) for pair in args.build_arg)
    if epoch:
        given.setdefault("CREATED", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)))

    def files(built, source):
        if not built:
            return ROOT / source
        known = {BUILT: args.binary, AUTHORITIES: args.ca_bundle, STATE: None}
        if source not in known:
            fail(f"the build stage leaves {source}, and this script does not know what that is")
        return known[source]

    stage = Stage((ROOT / "Containerfile").read_text(), given)
    image = Image(stage, files, epoch, architecture(args.binary))
    if args.output:
        for name, content in image.oci_files(args.tag).items():
            path = args.output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    if args.archive:
        write_tar(args.archive, image.oci_files(args.tag), epoch)
    if args.docker_archive:
        write_tar(args.docker_archive, image.docker_files(args.tag), epoch)
    print(image.manifest["digest"])


if __name__ == "__main__":
    main()
