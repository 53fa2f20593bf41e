//! Measures a spawn, from before it to the collected end, in several implementations.
//!
//! `cargo run --release --example spawn_cost [SPAWNS [ROUNDS [PROGRAM...]]]`

#![expect(unsafe_code, reason = "the baseline is a bare posix_spawn")]
#![expect(clippy::print_stdout, reason = "the table is the output of this program")]

use std::error::Error;
use std::ffi::{CStr, CString, c_int};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, mem, ptr, thread};

use pop_launchers::process::{AsyncDescriptor, Child, ChildEnd, Environment, Exit, Spawn, resolve, spawn};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

type Failure = Box<dyn Error + Send + Sync>;

/// The program that is started repeatedly.
struct Program {
    argv: Vec<CString>,
    environment: Environment,
    null: File,
}

/// How the outputs are connected.
#[derive(Clone, Copy)]
enum Outputs {
    Two,
    One,
    /// One pipe that the event loop does not watch; only for outputs that fit into the pipe.
    OneLate,
    Null,
}

/// A name, the index of the bare variant to compare with, and the function to measure.
type Variant = (&'static str, usize, fn(&Program, u32) -> Result<(), Failure>);

const VARIANTS: [Variant; 15] = [
    ("1  bare posix_spawn + waitpid, width 1", 0, bare),
    ("2  ours, two pipes, poll, width 1", 0, |program, count| blocking(program, count, Outputs::Two)),
    ("3  ours, one pipe, poll, width 1", 0, |program, count| blocking(program, count, Outputs::One)),
    ("4  ours, /dev/null, poll, width 1", 0, |program, count| blocking(program, count, Outputs::Null)),
    ("4b ours, /dev/null, blocking wait, width 1", 0, waiting),
    ("5a tokio, two pipes, width 1", 0, |program, count| in_tokio(program, count, Outputs::Two, 1)),
    ("5b tokio, one pipe, width 1", 0, |program, count| in_tokio(program, count, Outputs::One, 1)),
    ("5c tokio, one pipe read after the end, width 1", 0, |program, count| {
        in_tokio(program, count, Outputs::OneLate, 1)
    }),
    ("5d tokio, /dev/null, width 1", 0, |program, count| in_tokio(program, count, Outputs::Null, 1)),
    ("1' bare posix_spawn + waitpid, 2 threads", 9, on_two_threads),
    ("5e tokio, two pipes, width 2", 9, |program, count| in_tokio(program, count, Outputs::Two, 2)),
    ("5f tokio, one pipe, width 2", 9, |program, count| in_tokio(program, count, Outputs::One, 2)),
    ("5g tokio, one pipe read after the end, width 2", 9, |program, count| {
        in_tokio(program, count, Outputs::OneLate, 2)
    }),
    ("5h tokio, /dev/null, width 2", 9, |program, count| in_tokio(program, count, Outputs::Null, 2)),
    ("1\" bare posix_spawn + waitpid, width 1, again", 0, bare),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let count: u32 = arguments.first().map_or(Ok(3000), |text| text.parse())?;
    let rounds: usize = arguments.get(1).map_or(Ok(5), |text| text.parse())?;
    let mut programs: Vec<Vec<&str>> =
        arguments.iter().skip(2).map(|program| program.split(' ').collect()).collect();
    if programs.is_empty() {
        programs = vec![vec!["/bin/true"], vec!["busybox", "true"]];
    }
    for argv in programs {
        let name = argv.first().copied().unwrap_or_default();
        let path = match resolve(Path::new(name), &env::current_dir()?, env::var_os("PATH").as_deref()) {
            Ok(path) => path,
            Err(error) => {
                println!("{error}");
                continue;
            }
        };
        let mut argv = argv.iter().map(|text| CString::new(*text)).collect::<Result<Vec<_>, _>>()?;
        if let Some(first) = argv.first_mut() {
            *first = CString::new(path.into_os_string().into_encoded_bytes())?;
        }
        let environment = Environment::new(env::vars_os())?;
        measure(&Program { argv, environment, null: File::create("/dev/null")? }, count, rounds)?;
    }
    Ok(())
}

fn measure(program: &Program, count: u32, rounds: usize) -> Result<(), Failure> {
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); VARIANTS.len()];
    for _ in 0..rounds {
        for ((_, _, variant), samples) in VARIANTS.iter().zip(&mut samples) {
            let before =
                (Instant::now(), processor_time(libc::RUSAGE_SELF), processor_time(libc::RUSAGE_CHILDREN));
            variant(program, count)?;
            samples.push(Sample {
                wall: before.0.elapsed() / count,
                own: processor_time(libc::RUSAGE_SELF).saturating_sub(before.1) / count,
                children: processor_time(libc::RUSAGE_CHILDREN).saturating_sub(before.2) / count,
            });
        }
    }
    println!("\n{:?}: us per spawn, medians of {rounds} rounds of {count} spawns", program.argv);
    println!(
        "{:<48}{:>8}{:>15}{:>8}{:>11}{:>10}",
        "variant", "wall", "quartiles", "ratio", "CPU: ours", "children"
    );
    for ((name, yardstick, _), own) in VARIANTS.iter().zip(&samples) {
        let micros = |part: fn(&Sample) -> Duration| own.iter().map(move |sample| micros(part(sample)));
        let wall = sorted(micros(|sample| sample.wall));
        let yardstick = samples.get(*yardstick).into_iter().flatten();
        let ratios =
            sorted(own.iter().zip(yardstick).map(|(one, other)| one.wall.div_duration_f64(other.wall)));
        println!(
            "{name:<48}{:>8.1}{:>15}{:>8.3}{:>11.1}{:>10.1}",
            at(&wall, 2),
            format!("{:.0}-{:.0}", at(&wall, 1), at(&wall, 3)),
            at(&ratios, 2),
            at(&sorted(micros(|sample| sample.own)), 2),
            at(&sorted(micros(|sample| sample.children)), 2),
        );
    }
    Ok(())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Returns the value a number of quarters into the list.
fn at(sorted: &[f64], quarters: usize) -> f64 {
    sorted.get(sorted.len() * quarters / 4).copied().unwrap_or_default()
}

#[derive(Clone, Copy)]
struct Sample {
    wall: Duration,
    own: Duration,
    children: Duration,
}

fn processor_time(whose: c_int) -> Duration {
    // SAFETY: integers only, for which zero is valid.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: writes to the live structure given.
    unsafe { libc::getrusage(whose, &raw mut usage) };
    let part = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    part(usage.ru_utime) + part(usage.ru_stime)
}

fn bare(program: &Program, count: u32) -> Result<(), Failure> {
    let pointers = |strings: &mut dyn Iterator<Item = *const libc::c_char>| -> Vec<*mut libc::c_char> {
        strings.map(<*const _>::cast_mut).chain([ptr::null_mut()]).collect()
    };
    let argv = pointers(&mut program.argv.iter().map(|text| text.as_ptr()));
    let environment = pointers(&mut program.environment.entries().map(CStr::as_ptr));
    let path = program.argv.first().ok_or("nothing to start")?;
    for _ in 0..count {
        let (mut pid, mut status) = (0, 0);
        // SAFETY: a valid C string, two null-terminated arrays of such, and a live integer.
        let result = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                path.as_ptr(),
                ptr::null(),
                ptr::null(),
                argv.as_ptr(),
                environment.as_ptr(),
            )
        };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result).into());
        }
        // SAFETY: writes to the live integer given.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } != pid || status != 0 {
            return Err("waitpid failed".into());
        }
    }
    Ok(())
}

fn on_two_threads(program: &Program, count: u32) -> Result<(), Failure> {
    thread::scope(|scope| {
        let other = scope.spawn(|| bare(program, count / 2));
        bare(program, count - count / 2)?;
        other.join().map_err(|_| "a thread panicked")?
    })
}

/// Starts the program; the write ends of the pipes are closed on return.
fn start(program: &Program, outputs: Outputs) -> Result<(Child, [Option<OwnedFd>; 2]), Failure> {
    let launch = |stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>| {
        let path = program.argv.first().ok_or("nothing to start")?;
        let order = Spawn {
            program: path.clone(),
            argv: program.argv.clone(),
            environment: program.environment.clone(),
            working_directory: None,
            stdin: None,
            stdout,
            stderr,
            socket: None,
            processors: None,
        };
        Ok::<_, Failure>(spawn(order)?)
    };
    Ok(match outputs {
        Outputs::Null => (launch(program.null.as_fd(), program.null.as_fd())?, [None, None]),
        Outputs::One | Outputs::OneLate => {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            (launch(writer.as_fd(), writer.as_fd())?, [Some(reader), None])
        }
        Outputs::Two => {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            let (error_reader, error_writer) = pipe_with(PipeFlags::CLOEXEC)?;
            (launch(writer.as_fd(), error_writer.as_fd())?, [Some(reader), Some(error_reader)])
        }
    })
}

fn demand_success(ended: Option<ChildEnd>) -> Result<(), Failure> {
    match ended {
        Some(ChildEnd { exit: Ok(Exit::Code(0)), .. }) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn blocking(program: &Program, count: u32, outputs: Outputs) -> Result<(), Failure> {
    let mut text = Vec::new();
    for _ in 0..count {
        let (child, pipes) = start(program, outputs)?;
        poll(&mut [PollFd::new(&child, PollFlags::IN)], None)?;
        for pipe in pipes.into_iter().flatten() {
            File::from(pipe).read_to_end(&mut text)?;
        }
        demand_success(child.try_wait()?)?;
    }
    Ok(())
}

fn waiting(program: &Program, count: u32) -> Result<(), Failure> {
    for _ in 0..count {
        let (child, _) = start(program, Outputs::Null)?;
        demand_success(Some(child.wait()?))?;
    }
    Ok(())
}

fn in_tokio(program: &Program, count: u32, outputs: Outputs, width: u32) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        if width == 1 {
            one_after_another(program, count, outputs).await
        } else {
            tokio::try_join!(
                one_after_another(program, count / 2, outputs),
                one_after_another(program, count - count / 2, outputs)
            )
            .map(drop)
        }
    })
}

async fn one_after_another(program: &Program, count: u32, outputs: Outputs) -> Result<(), Failure> {
    for _ in 0..count {
        let (child, [first, second]) = start(program, outputs)?;
        let child = AsyncDescriptor::new(child)?;
        if let (Outputs::OneLate, Some(pipe)) = (outputs, &first) {
            demand_success(ended(&child).await?)?;
            rustix::io::read(pipe, &mut [0; 4096])?;
            continue;
        }
        let (_, _, ended) = tokio::try_join!(drained(first), drained(second), ended(&child))?;
        demand_success(ended)?;
    }
    Ok(())
}

async fn ended(child: &AsyncDescriptor<Child>) -> Result<Option<ChildEnd>, Failure> {
    drop(child.readable().await?);
    Ok(child.get().try_wait()?)
}

async fn drained(pipe: Option<OwnedFd>) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let Some(pipe) = pipe else { return Ok(text) };
    rustix::io::ioctl_fionbio(&pipe, true)?;
    let pipe = AsyncDescriptor::new(pipe)?;
    let mut buffer = [0; 4096];
    loop {
        let mut guard = pipe.readable().await?;
        match rustix::io::read(pipe.get(), &mut buffer) {
            Ok(0) => return Ok(text),
            Ok(length) => text.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(Errno::AGAIN) => guard.clear_ready(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
