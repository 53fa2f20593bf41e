//! Appending to a buffer with a size limit, without allocating much more than the content needs.

/// Appends bytes. The capacity doubles as usual, but stays within `limit` as long as the bytes fit into it.
pub(crate) fn append(gathered: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let needed = gathered.len() + bytes.len();
    if needed > gathered.capacity() {
        let wanted = (2 * gathered.capacity()).min(limit).max(needed);
        gathered.reserve_exact(wanted - gathered.len());
    }
    gathered.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_h15_the_capacity_stays_within_the_limit() {
        let mut gathered = Vec::new();
        for _ in 0..1_000 {
            append(&mut gathered, &[0; 1_000], 1_000_100);
        }
        assert!(gathered.len() == 1_000_000 && gathered.capacity() <= 1_000_100, "{}", gathered.capacity());
    }
}
