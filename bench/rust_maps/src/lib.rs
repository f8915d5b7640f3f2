//! Maps of Rust behind C functions, for bench/map: papaya, DashMap and scc, with keys and values of bytes that
//! are copied in and out, and foldhash with a seed of each map's own.
//!
//! A map comes from `…_new` and goes to `…_free` once; the others may be called from any thread in between, with
//! pointers that are valid for the sizes given, and room in `value` for every value of the map.

use foldhash::fast::RandomState;

type Bytes = Box<[u8]>;

trait Map: Sized {
    fn new() -> Self;
    fn get(&self, key: &[u8], visit: impl FnOnce(&[u8])) -> bool;
    fn put(&self, key: Bytes, value: Bytes);
    fn remove(&self, key: &[u8]) -> bool;
}

type Papaya = papaya::HashMap<Bytes, Bytes, RandomState>;

impl Map for Papaya {
    fn new() -> Self {
        papaya::HashMap::with_hasher(RandomState::default())
    }

    fn get(&self, key: &[u8], visit: impl FnOnce(&[u8])) -> bool {
        self.pin().get(key).map(|value| visit(value)).is_some()
    }

    fn put(&self, key: Bytes, value: Bytes) {
        self.pin().insert(key, value);
    }

    fn remove(&self, key: &[u8]) -> bool {
        self.pin().remove(key).is_some()
    }
}

type Dash = dashmap::DashMap<Bytes, Bytes, RandomState>;

impl Map for Dash {
    fn new() -> Self {
        dashmap::DashMap::with_hasher(RandomState::default())
    }

    fn get(&self, key: &[u8], visit: impl FnOnce(&[u8])) -> bool {
        dashmap::DashMap::get(self, key).map(|found| visit(found.value())).is_some()
    }

    fn put(&self, key: Bytes, value: Bytes) {
        self.insert(key, value);
    }

    fn remove(&self, key: &[u8]) -> bool {
        dashmap::DashMap::remove(self, key).is_some()
    }
}

type Scc = scc::HashMap<Bytes, Bytes, RandomState>;

impl Map for Scc {
    fn new() -> Self {
        scc::HashMap::with_hasher(RandomState::default())
    }

    fn get(&self, key: &[u8], visit: impl FnOnce(&[u8])) -> bool {
        self.read_sync(key, |_, value| visit(value)).is_some()
    }

    fn put(&self, key: Bytes, value: Bytes) {
        self.upsert_sync(key, value);
    }

    fn remove(&self, key: &[u8]) -> bool {
        self.remove_sync(key).is_some()
    }
}

unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    std::slice::from_raw_parts(data, size)
}

macro_rules! c_functions {
    ($map:ty, $new:ident, $free:ident, $get:ident, $put:ident, $remove:ident) => {
        #[no_mangle]
        pub extern "C" fn $new() -> *mut $map {
            Box::into_raw(Box::new(<$map as Map>::new()))
        }

        /// # Safety
        /// See the head of this file.
        #[no_mangle]
        pub unsafe extern "C" fn $free(map: *mut $map) {
            drop(Box::from_raw(map));
        }

        /// Copies the value out and returns its size; -1 if the key is absent.
        ///
        /// # Safety
        /// See the head of this file.
        #[no_mangle]
        pub unsafe extern "C" fn $get(map: *const $map, key: *const u8, key_size: usize, value: *mut u8) -> isize {
            let mut size = -1;
            Map::get(&*map, bytes(key, key_size), |found| {
                std::ptr::copy_nonoverlapping(found.as_ptr(), value, found.len());
                size = found.len() as isize;
            });
            size
        }

        /// # Safety
        /// See the head of this file.
        #[no_mangle]
        pub unsafe extern "C" fn $put(
            map: *const $map,
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
        ) {
            Map::put(&*map, bytes(key, key_size).into(), bytes(value, value_size).into());
        }

        /// Whether the key was there.
        ///
        /// # Safety
        /// See the head of this file.
        #[no_mangle]
        pub unsafe extern "C" fn $remove(map: *const $map, key: *const u8, key_size: usize) -> bool {
            Map::remove(&*map, bytes(key, key_size))
        }
    };
}

c_functions!(Papaya, papaya_new, papaya_free, papaya_get, papaya_put, papaya_remove);
c_functions!(Dash, dashmap_new, dashmap_free, dashmap_get, dashmap_put, dashmap_remove);
c_functions!(Scc, scc_new, scc_free, scc_get, scc_put, scc_remove);
