//! papaya's map behind four C functions, for bench/map: the keys and values are bytes, copied in and out.
//!
//! A map comes from `papaya_peer_new` and goes to `papaya_peer_free` once; the others may be called from any
//! thread in between, with pointers that are valid for the sizes given.

type Map = papaya::HashMap<Vec<u8>, Vec<u8>>;

#[no_mangle]
pub extern "C" fn papaya_peer_new() -> *mut Map {
    Box::into_raw(Box::new(Map::new()))
}

/// # Safety
/// See the head of this file.
#[no_mangle]
pub unsafe extern "C" fn papaya_peer_free(map: *mut Map) {
    drop(Box::from_raw(map));
}

/// Copies the value out and returns its size; -1 if the key is absent.
///
/// # Safety
/// See the head of this file; `value` has room for every value of the map.
#[no_mangle]
pub unsafe extern "C" fn papaya_peer_get(map: *const Map, key: *const u8, key_size: usize, value: *mut u8) -> isize {
    let pinned = (*map).pin();
    match pinned.get(std::slice::from_raw_parts(key, key_size)) {
        Some(found) => {
            std::ptr::copy_nonoverlapping(found.as_ptr(), value, found.len());
            found.len() as isize
        }
        None => -1,
    }
}

/// # Safety
/// See the head of this file.
#[no_mangle]
pub unsafe extern "C" fn papaya_peer_put(
    map: *const Map,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
) {
    let key = std::slice::from_raw_parts(key, key_size).to_vec();
    let value = std::slice::from_raw_parts(value, value_size).to_vec();
    (*map).pin().insert(key, value);
}
