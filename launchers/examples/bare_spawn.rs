//! The baseline of docs/speed.md: `bare_spawn COUNT WIDTH PROGRAM` spawns and waits, WIDTH at a time, and does
//! nothing else.
#![expect(unsafe_code, reason = "the baseline is the bare system interface")]
#![expect(clippy::unwrap_used, reason = "an example fails by panicking")]

use std::ffi::CString;
use std::ptr;

fn main() {
    let mut args = std::env::args().skip(1);
    let count: usize = args.next().unwrap().parse().unwrap();
    let width: usize = args.next().unwrap().parse().unwrap();
    let program = CString::new(args.next().unwrap()).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..width {
            let program = &program;
            scope.spawn(move || {
                for _ in (worker..count).step_by(width) {
                    spawn_and_wait(program);
                }
            });
        }
    });
}

fn spawn_and_wait(program: &CString) {
    unsafe extern "C" {
        static environ: *const *mut libc::c_char;
    }
    let argv = [program.as_ptr().cast_mut(), ptr::null_mut()];
    let mut pid = 0;
    let mut status = 0;
    // SAFETY: every pointer is to a live, null-terminated value; pid and status are written to by the calls alone
    unsafe {
        let spawned = libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            ptr::null(),
            ptr::null(),
            argv.as_ptr(),
            environ.cast(),
        );
        assert_eq!(spawned, 0);
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
    }
    assert_eq!(status, 0);
}
