package hapctl

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds one answer, in bytes: a map of 500,000 entries or 100,000 servers fit.
const maxAnswer = 128 << 20

// conn is one session on the run-time socket. After any error it must be closed: what comes next on it
// may belong to something else.
type conn struct {
	net.Conn
	r *bufio.Reader
	// token begins every mark; n makes marks differ.
	token string
	n     int
	space []byte // for answers, used again
	out   []byte // for what is sent, used again; it is cleared after, since there may be keys in it
}

// keptSpace is how much room for answers a session keeps, in bytes: what ten thousand servers take.
const keptSpace = 2 << 20

// longAnswer is how much of an answer is gathered before it is put aside, in bytes.
const longAnswer = keptSpace / 4 * 3

// dialUnix connects to a unix socket whose path may be longer than the kernel's 107 bytes.
func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	if len(path) <= 100 {
		return d.DialContext(ctx, "unix", path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	c, err := d.DialContext(ctx, "unix", short)
	var op *net.OpError
	if errors.As(err, &op) {
		op.Addr = &net.UnixAddr{Name: path, Net: "unix"}
	}
	return c, err
}

// openConn begins a session in which answers carry their severity and the connection stays.
func openConn(ctx context.Context, path string, patience time.Duration) (*conn, error) {
	nc, err := dialUnix(ctx, path)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, r: bufio.NewReaderSize(nc, 64<<10), token: rand.Text()}
	// HAProxy ends idle sessions after 10 s by default, even ones that wait for a long command.
	hello := c.mark([]byte("prompt i\nset severity-output number\nset timeout cli 1h\n"))
	if _, err := c.exchange(ctx, patience, hello, 1); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// mark adds a command that makes HAProxy say where an answer ends. An empty line alone would not do:
// several answers hold empty lines.
func (c *conn) mark(b []byte) []byte {
	c.n++
	b = append(b, "echo "...)
	b = append(b, c.token...)
	b = strconv.AppendInt(append(b, '-'), int64(c.n), 10)
	return append(b, '\n')
}

// exchange sends a batch that holds the last count marks, and returns the count answers in front of them.
// Those that came before an error are returned with it. No answer may take longer than limit.
func (c *conn) exchange(ctx context.Context, limit time.Duration, batch []byte, count int) ([]string, error) {
	first := c.n - count + 1
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(batch)
		sent <- err
	}()
	answers := make([]string, 0, count)
	var err error
	for i := range count {
		var a string
		_ = c.SetReadDeadline(time.Now().Add(limit))
		if a, err = c.readAnswer(first + i); err != nil {
			break
		}
		answers = append(answers, a)
	}
	if err != nil {
		c.Close() // ends the writing, too
	}
	werr := <-sent
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	return answers, errors.Join(err, ignoreClosed(werr, err))
}

// ignoreClosed drops the error of writing that is only the consequence of another one.
func ignoreClosed(werr, cause error) error {
	if cause != nil {
		return nil
	}
	return werr
}

// readAnswer reads up to the mark of that number.
func (c *conn) readAnswer(n int) (string, error) {
	mark := fmt.Appendf(nil, "[6]: %s-%d\n", c.token, n)
	text := c.space[:0]
	var before []string // of a long answer: a space that grew with it would be moved again and again
	length := 0
	for {
		line, err := c.r.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) {
			text = append(text, line...)
			line, err = c.r.ReadSlice('\n')
		}
		if err != nil {
			return "", err
		}
		if bytes.Equal(line, mark) {
			break
		}
		if text = append(text, line...); length+len(text) > maxAnswer {
			return "", fmt.Errorf("answer is longer than %d bytes", maxAnswer)
		}
		if len(text) > longAnswer {
			before, length, text = append(before, string(text)), length+len(text), text[:0]
		}
	}
	// The mark is an answer of its own, which ends with an empty line.
	if line, err := c.r.ReadSlice('\n'); err != nil || len(line) != 1 {
		return "", errors.Join(errors.New("no empty line after an answer"), err)
	}
	if cap(text) <= keptSpace {
		c.space = text
	}
	if before == nil {
		return string(text), nil
	}
	return strings.Join(append(before, string(text)), ""), nil
}
