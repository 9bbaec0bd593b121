//! An OCI image layout, read by the specification and not by what made it
//! (<https://github.com/opencontainers/image-spec>, image-layout.md, manifest.md, config.md).

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use whyd::net::crypto::{Digest, digest};

/// Has the script make an image from that program, and returns the digest that it prints.
pub fn make(program: &Path, layout: &Path, more: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/image/oci.py");
    let mut command = Command::new("python3");
    command.arg(script).arg("--binary").arg(program);
    command.arg("--output").arg(layout).args(more);
    let output = command.output().expect("python3 runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// The one image of a layout.
pub struct Image {
    layout: PathBuf,
    /// Of the manifest, by which the image is pulled.
    pub digest: String,
    manifest: Value,
    pub config: Value,
}

impl Image {
    pub fn read(layout: &Path) -> Image {
        let json = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).expect("JSON") };
        let file = |name: &str| fs::read(layout.join(name)).expect(name);
        assert_eq!(json(&file("oci-layout"))["imageLayoutVersion"], "1.0.0");
        let index = json(&file("index.json"));
        assert_eq!(index["schemaVersion"], 2);
        let listed = index["manifests"].as_array().expect("manifests");
        assert_eq!(listed.len(), 1);
        let manifest = json(&described(layout, &listed[0]));
        let config = json(&described(layout, &manifest["config"]));
        Image {
            layout: layout.to_owned(),
            digest: listed[0]["digest"].as_str().expect("a digest").to_owned(),
            manifest,
            config,
        }
    }

    /// The layers' digests, lowest first.
    pub fn layers(&self) -> Vec<String> {
        let digest = |layer: &Value| layer["digest"].as_str().expect("a digest").to_owned();
        self.manifest_layers().iter().map(digest).collect()
    }

    fn manifest_layers(&self) -> &[Value] {
        self.manifest["layers"].as_array().expect("layers")
    }

    /// Every layer is what the manifest says of it, and unpacked what the configuration says; and nothing else lies there.
    pub fn check(&self) {
        let diff_ids = self.config["rootfs"]["diff_ids"].as_array().expect("diff_ids");
        assert_eq!(diff_ids.len(), self.manifest_layers().len());
        for (layer, diff_id) in self.manifest_layers().iter().zip(diff_ids) {
            assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
            let mut unpacked = Vec::new();
            let packed = described(&self.layout, layer);
            let mut reader = flate2::read::GzDecoder::new(&*packed);
            reader.read_to_end(&mut unpacked).expect("gzip");
            assert_eq!(sha256(&unpacked), diff_id.as_str().expect("a digest"));
        }
        let blobs = fs::read_dir(self.layout.join("blobs/sha256"))
            .expect("blobs")
            .count();
        assert_eq!(
            blobs,
            self.manifest_layers().len() + 2,
            "layers, configuration, manifest"
        );
    }

    /// Puts the layers over each other, with their owners and modes.
    pub fn unpack(&self, root: &Path) {
        fs::create_dir(root).expect("a directory");
        for layer in self.layers() {
            let blob = self.layout.join("blobs").join(layer.replace(':', "/"));
            let mut command = Command::new("tar");
            command
                .arg("-xzpf")
                .arg(blob)
                .arg("--numeric-owner")
                .arg("-C")
                .arg(root);
            assert!(command.status().expect("tar runs").success());
        }
    }
}

/// The blob that a descriptor describes, of the size and digest that it says.
fn described(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let wanted = descriptor["digest"].as_str().expect("a digest");
    let blob = fs::read(layout.join("blobs").join(wanted.replace(':', "/"))).expect("the blob");
    assert_eq!(descriptor["size"], blob.len());
    assert_eq!(sha256(&blob), wanted);
    blob
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = digest(Digest::Sha256, bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}
