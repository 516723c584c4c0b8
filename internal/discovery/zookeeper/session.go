package zookeeper

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"weir/internal/discovery"
)

// session speaks ZooKeeper's protocol over one connection, and holds watches there. It has no goroutine.
type session struct {
	conn   net.Conn
	r      *bufio.Reader
	server string
	// sent and answered number the requests; answers come in the order of these.
	sent, answered int32
	// patience is how long an answer is waited for, and ping how often the server is asked when there is nothing to say.
	patience, ping time.Duration
	// zxid is the last change that the server has told of.
	zxid int64
	// fired are the watches that came and were not taken yet.
	fired []event
}

var (
	errNonsense = errors.New("what came back is not ZooKeeper's protocol; does a ZooKeeper listen there, and does it ask for TLS?")
	// errTurnedAway is the cause when a server ends a connection in place of opening a session.
	errTurnedAway = errors.New("the server ended the connection in place of a session: it may not serve now (no quorum), be behind what was seen already, have too many connections from here (maxClientCnxns), or ask for TLS")
)

// The operations, and the numbers that frames have in place of a request's.
const (
	opExists       = 3
	opGetData      = 4
	opPing         = 11
	opGetChildren2 = 12
	opAuth         = 100
	opClose        = -11

	xidEvent = -1
	xidPing  = -2
	xidAuth  = -4
)

const (
	frameHeader = 16      // number, change, error
	maxConnect  = 1 << 10 // the answer that opens a session
	window      = 256     // requests that are under way at a time
)

// connect opens a session. lastZxid keeps a server from answering that has not seen that change yet.
func (s *Source) connect(ctx context.Context, server string, lastZxid int64) (*session, error) {
	patience := s.config.Session * 2 / 3
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.config.Dial(short, "tcp", server)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", noTime(err, patience))
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if s.config.TLS != nil {
		safe, err := secure(short, conn, server, s.config.TLS)
		if err != nil {
			return nil, fmt.Errorf("speak TLS: %w", noTime(err, patience))
		}
		conn = safe
	}
	c := &session{conn: conn, r: bufio.NewReaderSize(conn, 64<<10), server: server, patience: patience, zxid: lastZxid}
	err = c.open(s.config.Session)
	if err == nil && s.config.User != "" {
		err = c.signIn(s.config.User, s.config.Password)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func secure(ctx context.Context, conn net.Conn, server string, config *tls.Config) (net.Conn, error) {
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(server)
	}
	safe := tls.Client(conn, config)
	if err := safe.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return safe, nil
}

func noTime(err error, patience time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no answer within %s: %w", patience.Round(time.Millisecond), err)
	}
	return err
}

func (c *session) open(wanted time.Duration) error {
	var w writer
	w.int32(0) // the protocol's version
	w.int64(c.zxid)
	w.int32(int32(wanted / time.Millisecond))
	w.int64(0) // a new session
	w.bytes(make([]byte, 16))
	w.bool(false) // not one that reads while there is no quorum
	if err := c.send(w.frame()); err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	raw, err := c.frame(maxConnect)
	switch {
	case err != nil && hungUp(err):
		return fmt.Errorf("open a session: %w", errTurnedAway)
	case err != nil:
		return fmt.Errorf("open a session: %w", err)
	}
	r := reader{raw: raw}
	_ = r.int32()
	given := time.Duration(r.int32()) * time.Millisecond
	id := r.int64()
	_ = r.bytes()
	if r.failed || given <= 0 || id == 0 {
		return fmt.Errorf("open a session: %w", errNonsense)
	}
	// A third of the session: two pings may be lost.
	c.ping, c.patience = given/3, max(given*2/3, 100*time.Millisecond)
	return nil
}

func (c *session) signIn(user, password string) error {
	var w writer
	w.int32(xidAuth)
	w.int32(opAuth)
	w.int32(0)
	w.string("digest")
	w.bytes([]byte(user + ":" + password))
	if err := c.send(w.frame()); err != nil {
		return fmt.Errorf("sign in as %s: %w", discovery.Clip(user), err)
	}
	h, _, err := c.next()
	switch {
	case err != nil:
		return fmt.Errorf("sign in as %s: %w", discovery.Clip(user), err)
	case h.xid != xidAuth:
		return fmt.Errorf("sign in as %s: %w", discovery.Clip(user), errNonsense)
	case h.code != 0:
		return fmt.Errorf("sign in as %s: %w", discovery.Clip(user), h.code)
	}
	return nil
}

// close ends the session, so that the server forgets its watches at once, and the connection. It may be called while
// another goroutine waits there.
func (c *session) close() {
	_ = c.conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	var w writer
	w.int32(lastNumber + 1)
	w.int32(opClose)
	_, _ = c.conn.Write(w.frame())
	_ = c.conn.Close()
}

const lastNumber = 1 << 30

func following(number int32) int32 { return number%lastNumber + 1 }

func (c *session) send(raw []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
		return lost(err, c.patience)
	}
	if _, err := c.conn.Write(raw); err != nil {
		return lost(err, c.patience)
	}
	return nil
}

// within bounds how long is waited for what is read next. Where no bound can be set the connection has ended, which
// reading then tells.
func (c *session) within(patience time.Duration) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
}

// ask reads paths by one operation and sets a watch on each, many requests at a time. Take gets each answer in turn.
func (c *session) ask(op int32, paths []string, take func(i int, code code, body *reader) error) error {
	var out []byte
	sent := 0
	for i := range paths {
		if sent-i < window/2 && sent < len(paths) {
			out = out[:0]
			for ; sent < len(paths) && sent-i < window; sent++ {
				c.sent = following(c.sent)
				var w writer
				w.int32(c.sent)
				w.int32(op)
				w.string(paths[sent])
				w.bool(true)
				out = append(out, w.frame()...)
			}
			if err := c.send(out); err != nil {
				return err
			}
		}
		h, body, err := c.reply()
		if err != nil {
			return err
		}
		if c.answered = following(c.answered); h.xid != c.answered {
			return fmt.Errorf("%w (an answer to another request)", errNonsense)
		}
		if err := take(i, h.code, body); err != nil {
			return err
		}
		if body.failed {
			return fmt.Errorf("%w (an answer that ends too soon)", errNonsense)
		}
	}
	return nil
}

// reply waits for the next answer to a request; watches that come before it are kept.
func (c *session) reply() (header, *reader, error) {
	for {
		h, body, err := c.next()
		if err != nil {
			return h, nil, err
		}
		switch h.xid {
		case xidEvent:
			if err := c.keep(body); err != nil {
				return h, nil, err
			}
		case xidPing:
		default:
			return h, body, nil
		}
	}
}

// wait returns when watches have fired, or when the server has answered that there is nothing new.
func (c *session) wait() error {
	for asked := false; ; {
		if len(c.fired) > 0 && c.r.Buffered() == 0 {
			return nil
		}
		patience := c.ping
		if asked {
			patience = c.patience
		}
		c.within(patience)
		if _, err := c.r.Peek(1); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) || asked {
				return lost(err, patience)
			}
			var w writer
			w.int32(xidPing)
			w.int32(opPing)
			if err := c.send(w.frame()); err != nil {
				return err
			}
			asked = true
			continue
		}
		h, body, err := c.next()
		switch {
		case err != nil:
			return err
		case h.xid == xidPing && asked:
			return nil
		case h.xid != xidEvent:
			return fmt.Errorf("%w (an answer that nobody asked for)", errNonsense)
		}
		if err := c.keep(body); err != nil {
			return err
		}
	}
}

// keep notes a watch that fired.
func (c *session) keep(body *reader) error {
	e := event{kind: body.int32(), state: body.int32(), path: body.string()}
	if body.failed || len(c.fired) > 4*discovery.MaxFound {
		return fmt.Errorf("%w (a watch that can't be read, or too many)", errNonsense)
	}
	if e.path != "" {
		c.fired = append(c.fired, e)
	}
	return nil
}

// next reads a frame and takes its header off.
func (c *session) next() (header, *reader, error) {
	raw, err := c.frame(discovery.MaxAnswer)
	if err != nil {
		return header{}, nil, err
	}
	r := &reader{raw: raw}
	h := header{xid: r.int32()}
	zxid := r.int64()
	h.code = code(r.int32())
	if r.failed {
		return h, nil, errNonsense
	}
	if h.xid > 0 && zxid > c.zxid {
		c.zxid = zxid
	}
	return h, r, nil
}

// frame reads what a length goes before. The length is believed as bytes come, not before.
func (c *session) frame(most int) ([]byte, error) {
	c.within(c.patience)
	var size [4]byte
	if _, err := io.ReadFull(c.r, size[:]); err != nil {
		return nil, lost(err, c.patience)
	}
	n := int64(binary.BigEndian.Uint32(size[:]))
	switch {
	case n > 1<<30:
		return nil, errNonsense
	case n > int64(most) && most == maxConnect:
		return nil, errNonsense
	case n > int64(most):
		return nil, fmt.Errorf("an answer of %d bytes, over %d: %w", n, most, discovery.ErrTooMuch)
	}
	raw := make([]byte, 0, min(n, 64<<10))
	for int64(len(raw)) < n {
		c.within(c.patience)
		at := len(raw)
		raw = append(raw, make([]byte, min(n-int64(at), 64<<10))...)
		if _, err := io.ReadFull(c.r, raw[at:]); err != nil {
			return nil, lost(err, c.patience)
		}
	}
	return raw, nil
}
