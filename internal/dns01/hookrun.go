package dns01

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Hook answers challenges by a program. It is a Solver.
type Hook struct {
	hooks   *Hooks
	program string
	prover  prover
}

// Present runs the program with the action present.
func (h *Hook) Present(ctx context.Context, r Record) error { return h.run(ctx, "present", r) }

// Clean runs the program with the action clean.
func (h *Hook) Clean(ctx context.Context, r Record) error { return h.run(ctx, "clean", r) }

// Wait asks the zone's name servers, or those that the proof names.
func (h *Hook) Wait(ctx context.Context, r Record) error { return h.prover.wait(ctx, r) }

func (h *Hook) run(ctx context.Context, action string, r Record) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("run the challenge program %s: %w", h.program, err)
	}
	select {
	case h.hooks.slots <- struct{}{}:
		defer func() { <-h.hooks.slots }()
	case <-ctx.Done():
		return fmt.Errorf("run the challenge program %s for %s: %d others run and none ended: %w", h.program, r.Name, cap(h.hooks.slots), ctx.Err())
	}
	path, err := h.hooks.find(h.program)
	if err != nil {
		return err
	}
	// The time is its own, not that of waiting for its turn.
	short, cancel := context.WithTimeout(ctx, h.hooks.timeout)
	defer cancel()
	said, err := execute(short, path, environment(action, r))
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && short.Err() != nil {
		err = fmt.Errorf("not done after %s, killed: %w", h.hooks.timeout, err)
	}
	return fmt.Errorf("run the challenge program %s to %s the record of %s: %w%s", h.program, action, r.Name, err, quote(said))
}

func environment(action string, r Record) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"WEIR_CHALLENGE_ACTION=" + action,
		"WEIR_CHALLENGE_NAME=" + r.host(),
		"WEIR_CHALLENGE_RECORD=" + r.Owner(),
		"WEIR_CHALLENGE_VALUE=" + r.Value,
	}
}

const (
	// mostOutput is how much of what a program writes is kept, the last of it.
	mostOutput = 64 << 10
	// outputGrace is how long output is waited for when everything that could write it has been killed; only what has
	// left the process group can hold it open longer.
	outputGrace = 200 * time.Millisecond
)

// execute runs a program until it ends or ctx does, kills its process group in both cases, and returns the last
// of what it wrote.
func execute(ctx context.Context, path string, env []string) ([]byte, error) {
	closeOnExec()
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	cmd := &exec.Cmd{Path: path, Args: []string{path}, Env: env, Dir: "/", Stdout: in, Stderr: in, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		return nil, fmt.Errorf("it can't be started (is its first line right?): %w", cause(err))
	}
	said := make(chan []byte, 1)
	go func() { said <- lastOf(out) }()
	ended := make(chan struct{})
	go func() {
		awaitEnd(cmd.Process.Pid)
		close(ended)
	}()
	var late error
	select {
	case <-ended:
	case <-ctx.Done():
		late = ctx.Err()
	}
	// The process has not been waited for yet, and so its number is still that of its group and of nobody else.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-ended
	err = cmd.Wait()
	_ = out.SetReadDeadline(time.Now().Add(outputGrace))
	if late != nil {
		err = late
	}
	return <-said, err
}

// awaitEnd returns when the process has ended, and leaves its end to be read.
func awaitEnd(pid int) {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// lastOf reads to the end and keeps the last of it.
func lastOf(f *os.File) []byte {
	var kept []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := f.Read(buf)
		kept = append(kept, buf[:n]...)
		if over := len(kept) - mostOutput; over > 0 {
			kept = append(kept[:0], kept[over:]...)
		}
		if err != nil {
			return kept
		}
	}
}

// closeOnExec keeps programs from files that this process was itself started with; Go's own are closed anyway.
func closeOnExec() {
	if unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// Linux before 5.11.
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, n := range names {
		var fd int
		if _, err := fmt.Sscan(n.Name(), &fd); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// quote gives the end of what a program wrote as one line that harms no terminal and no log.
func quote(said []byte) string {
	const longest = 600
	text, cut := strings.TrimSpace(string(said)), ""
	if len(text) > longest {
		text, cut = text[len(text)-longest:], "…"
	}
	var lines []string
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = clean(strings.ReplaceAll(strings.TrimSpace(line), "\t", " ")); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return "; it wrote nothing"
	}
	return "; it wrote: " + cut + strings.Join(lines, " | ")
}
