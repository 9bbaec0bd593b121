//! Memory that is free and not given back.

/// Gives freed memory back to the system. Reading a large configuration leaves many times its size behind in glibc's
/// heap; a daemon that runs for months should not carry that.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_back() {
    // SAFETY: malloc_trim takes the allocator's own locks and touches freed memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators give memory back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
