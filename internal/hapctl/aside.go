package hapctl

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// asideOutput bounds what is kept of what a HAProxy beside writes, in bytes.
const asideOutput = 32 << 10

// Aside runs a HAProxy beside the one that serves, of one process and with a configuration that listens nowhere but at its
// run-time socket, for as long as use takes, and then it is killed: when Aside returns it has ended, and it ends with
// this program, however that does. The error is a *StartError when it gives up by itself before.
func Aside(ctx context.Context, opts Options, use func(ctx context.Context, c *Client) error) error {
	opts, err := opts.filled()
	if err != nil {
		return fmt.Errorf("start haproxy aside: %w", err)
	}
	socket := opts.at(opts.Admin)
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return fmt.Errorf("start haproxy aside: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.Command(opts.Path, "-db", "-f", opts.Config)
	cmd.Dir, cmd.Env = opts.Dir, environment(opts.Env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out := &keptOutput{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	if err := startLasting(cmd); err != nil {
		return fmt.Errorf("start haproxy aside: %w", err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		cancel()
	}()
	client := newClient(socket, opts.Patience)
	err = awaitAside(ctx, client)
	if err == nil {
		err = use(ctx, client)
	}
	client.Close()
	select {
	case why := <-ended: // by itself
		return &StartError{Lines: problems(strings.Split(out.text(), "\n"), false), Err: why}
	default:
	}
	_ = cmd.Process.Kill() // it has nothing that it could bring to an end
	<-ended
	return err
}

// awaitAside waits until HAProxy answers.
func awaitAside(ctx context.Context, c *Client) error {
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		_, err := c.Pid(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start haproxy aside: %w: %w", context.Cause(ctx), err)
		case <-time.After(wait):
		}
	}
}

// keptOutput keeps the beginning of what is written.
type keptOutput struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps what there is room for.
func (k *keptOutput) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.buf.Write(p[:min(len(p), max(0, asideOutput-k.buf.Len()))])
	return len(p), nil
}

func (k *keptOutput) text() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.buf.String()
}
