//! A closure with something of everything that a database can say.

use hoist_nix::{
    ContentAddress, HashAlgorithm, Hasher, NarWriter, SecretKey, Sha256Hash, StoreDir, StorePath,
    StorePathName, fingerprint,
};
use hoist_store::{Backend, NewPath, Store, Trust};

/// Who signs what is not named by its content.
pub(crate) fn key() -> SecretKey {
    SecretKey::from_seed("interop-1", &[7; 32]).unwrap()
}

/// An archive of a folder with one file, and what is said of it.
pub(crate) struct Item {
    pub(crate) new: NewPath,
    pub(crate) nar: Vec<u8>,
}

fn folder(contents: &str) -> Vec<u8> {
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    nar.directory().unwrap();
    nar.entry(b"file").unwrap();
    nar.file(false, contents.len() as u64, &mut contents.as_bytes()).unwrap();
    nar.entry(b"same").unwrap();
    nar.file(true, 4000, &mut [b'x'; 4000].as_slice()).unwrap();
    nar.end_directory().unwrap();
    nar.finish()
}

fn file(contents: &str) -> Vec<u8> {
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    nar.file(false, contents.len() as u64, &mut contents.as_bytes()).unwrap();
    nar.finish()
}

fn item(path: StorePath, nar: Vec<u8>, references: Vec<StorePath>) -> Item {
    let (nar_hash, nar_size) = (Sha256Hash::of(&nar), nar.len() as u64);
    let new = NewPath {
        path,
        nar_hash,
        nar_size,
        deriver: None,
        references,
        signatures: Vec::new(),
        content_address: None,
    };
    Item { new, nar }
}

fn by_content(
    name: &str,
    address: ContentAddress,
    nar: Vec<u8>,
    references: Vec<StorePath>,
) -> Item {
    let name = StorePathName::parse(name).unwrap();
    let path = address.store_path(&StoreDir::default(), &name, &references).unwrap();
    let mut item = item(path, nar, references);
    item.new.content_address = Some(address);
    item
}

/// A path that is named by nothing that it holds, refers to itself, and is signed.
pub(crate) fn signed(name: &str, references: &[&Item]) -> Item {
    let digest = Sha256Hash::of(name.as_bytes()).0[..20].try_into().unwrap();
    let path = StorePath::new(&digest, &StorePathName::parse(name).unwrap());
    let mut references: Vec<_> = references.iter().map(|item| item.new.path.clone()).collect();
    references.push(path.clone());
    references.sort();
    let contents = references.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let mut item = item(path, folder(&contents), references);
    let NewPath { path, nar_hash, nar_size, references, .. } = &item.new;
    let said = fingerprint(&StoreDir::default(), path, nar_hash, *nar_size, references);
    item.new.signatures.push(key().sign(said.as_bytes()));
    item.new.deriver =
        Some(StorePath::new(&[9; 20], &StorePathName::parse(&format!("{name}.drv")).unwrap()));
    item
}

/// References come first.
pub(crate) fn closure() -> Vec<Item> {
    let text = ContentAddress::Text(Sha256Hash::of(b"a text"));
    let text = by_content("text", text, file("a text"), Vec::new());
    let mut sha1 = Hasher::new(HashAlgorithm::Sha1);
    sha1.update(b"a file");
    let flat = by_content("flat", ContentAddress::Flat(sha1.finish()), file("a file"), Vec::new());
    let nar = folder("a tree that refers to a text");
    let tree = ContentAddress::Recursive(Sha256Hash::of(&nar).into());
    let tree = by_content("tree", tree, nar, vec![text.new.path.clone()]);
    let library = signed("library", &[&text, &tree]);
    let program = signed("program", &[&library, &flat]);
    vec![text, flat, tree, library, program]
}

/// Adds items that are not named by their content only with the signature of [`key`].
pub(crate) fn add(store: &Store, items: &[Item]) {
    for Item { new, nar } in items {
        let keys = [key().to_public()];
        assert!(!store.add_nar(new, &mut nar.as_slice(), Trust::Keys(&keys)).unwrap());
    }
}

/// Everything that a store says of these, but for the time.
pub(crate) fn check(store: &Store, items: &[Item]) {
    for Item { new, .. } in items {
        let info = store.path_info(&new.path).unwrap().unwrap();
        assert_eq!((info.nar_hash, info.nar_size), (new.nar_hash, Some(new.nar_size)));
        assert_eq!((&info.deriver, &info.references), (&new.deriver, &new.references));
        let signatures: Vec<_> = new.signatures.iter().map(ToString::to_string).collect();
        assert_eq!(info.signatures, signatures, "{}", new.path);
        let address = new.content_address.as_ref().map(ToString::to_string);
        assert_eq!(info.content_address, address);
    }
    assert_eq!(store.verify(true).unwrap(), []);
}

/// The absolute path, by which Nix calls it.
pub(crate) fn print(path: &StorePath) -> String {
    StoreDir::default().print(path)
}
