package register

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"weir"
)

// look makes the check once, and says why the service is not well, or nil.
func (c *Check) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout.D(), fmt.Errorf("no answer within %s", c.Timeout))
	defer cancel()
	var err error
	switch {
	case c.HTTP != nil:
		err = c.HTTP.look(ctx)
	case c.TCP != nil:
		err = c.TCP.look(ctx)
	default:
		err = c.Command.look(ctx)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (h *HTTPCheck) look(ctx context.Context) error {
	at, err := url.Parse(h.URL)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}
	defer transport.CloseIdleConnections()
	if itself(at.Hostname()) {
		// Who answers there is this machine, whatever name its certificate has.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "weir-register")
	resp, err := transport.RoundTrip(req) // which follows no redirects
	if err != nil {
		return plain(err)
	}
	defer func() { _ = resp.Body.Close() }()
	good, err := weir.ParseStatuses(h.Expect)
	if err != nil {
		return err
	}
	for _, r := range good {
		if resp.StatusCode >= r.Low && resp.StatusCode <= r.High {
			return nil
		}
	}
	return fmt.Errorf("it answers %d, and %s is good", resp.StatusCode, h.Expect)
}

func itself(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func (t *TCPCheck) look(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return plain(err)
	}
	return conn.Close()
}

// plain takes the layers off an error of the network, which say where it was asked, as the check's name does.
func plain(err error) error {
	var refused *net.OpError
	if errors.As(err, &refused) && refused.Err != nil {
		var call *os.SyscallError
		if errors.As(refused.Err, &call) {
			return call.Err
		}
		return refused.Err
	}
	return err
}

const (
	// maxSaid is what is kept of what a program writes, for the reason.
	maxSaid = 4 << 10
	// lastWords is how long is waited for the rest of what a program wrote, once that has ended.
	lastWords = time.Second
)

// look runs the program, whose exit status alone counts. What it has started ends with it: one more with each look would
// fill the machine.
func (c *CommandCheck) look(ctx context.Context) error {
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	said := hear(from)
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Stdout, cmd.Stderr = to, to
	err = cmd.Start()
	_ = to.Close()
	if err == nil {
		awaitEnd(cmd.Process.Pid)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		_ = from.Close()
		<-said
		return err
	}
	// What has left the group may hold it open.
	_ = from.SetReadDeadline(time.Now().Add(lastWords))
	line := (<-said).line()
	_ = from.Close()
	if line == "" {
		return err
	}
	return fmt.Errorf("%s: %s", exit, line)
}

// hear gives what is written first, once there is no more.
func hear(from io.Reader) <-chan *first {
	said := make(chan *first, 1)
	go func() {
		f := &first{}
		_, _ = io.Copy(f, from)
		said <- f
	}()
	return said
}

// awaitEnd waits until a child has ended, and leaves it to be waited for: until then nobody else gets its number.
func awaitEnd(pid int) {
	const byPID = 1
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(pid), 0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

// first keeps the first bytes written to it.
type first struct{ b bytes.Buffer }

func (f *first) Write(p []byte) (int, error) {
	f.b.Write(p[:min(len(p), maxSaid-f.b.Len())])
	return len(p), nil
}

// line is the first line that says something, made fit for people.
func (f *first) line() string {
	for line := range strings.Lines(f.b.String()) {
		if line = printable(line); line != "" {
			return line
		}
	}
	return ""
}

const maxLine = 160

func printable(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) { // which a control plane refuses
			return ' '
		}
		return r
	}, s))
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	return s
}
