package hapctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/internal/haproxy"
)

const (
	// Patience bounds how long HAProxy may take for one answer, and so the waits that may be asked for: the longest
	// answers, of 100,000 servers, take tenths of a second.
	Patience = 15 * time.Second
	// idleLimit is how long an unused session is kept: an open session holds up the end of an old worker.
	idleLimit = 5 * time.Second
	// ageLimit is how long a session is used before another is dialled: one that was open before the socket was
	// removed goes on for ever, and nobody would learn that no other can be had.
	ageLimit = 10 * time.Second
)

// ErrStaleWorker says that the worker that answered has been replaced meanwhile: what was asked of it does
// not count, and the commands must be considered again with the state of the new one.
var ErrStaleWorker = errors.New("haproxy's worker was replaced meanwhile")

// ErrNoAnswer says that nothing could be asked, or that the answer did not come: HAProxy hangs, or is not there. It is
// not known what became of what was asked, and nothing in that is to blame.
var ErrNoAnswer = errors.New("haproxy does not answer")

// Client speaks to a HAProxy worker's run-time socket. It dials when needed and keeps a session while it is
// used; every batch ends with the proof that the worker is still the one that serves. It may be used by many
// goroutines; their batches don't mix.
type Client struct {
	path     string
	patience time.Duration
	age      time.Duration // ageLimit, or less in tests

	turn   chan struct{} // holds a value while somebody uses what follows
	conn   *conn
	pid    int // of the worker behind conn
	dialed time.Time
	idle   *time.Timer
	closed bool
}

// NewClient makes a client of the socket at path, of any length. It does not dial yet.
func NewClient(path string) *Client { return newClient(path, Patience) }

func newClient(path string, patience time.Duration) *Client {
	return &Client{path: path, patience: patience, age: ageLimit, turn: make(chan struct{}, 1)}
}

// take waits for the caller's turn, which never comes once ctx has ended; release ends it.
func (c *Client) take(ctx context.Context) error {
	if ctx.Err() == nil {
		select {
		case c.turn <- struct{}{}:
			return nil
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("wait for the session on %s: %w", c.path, context.Cause(ctx))
}

func (c *Client) release() { <-c.turn }

// Do runs one command. The error is a *Refused when HAProxy did not carry it out; ErrStaleWorker or ErrNoAnswer
// when it is not known what became of it.
func (c *Client) Do(ctx context.Context, cmd Command) (Answer, error) {
	answers, err := c.DoAll(ctx, cmd)
	if len(answers) == 0 {
		return Answer{}, err
	}
	return answers[0], err
}

// DoAll sends all commands at once and reads their answers, in order. HAProxy carries out later commands
// also when an earlier one was refused; the error then joins a *Refused for each. On an error of the
// connection fewer answers than commands are returned, and the command after the last may or may not have
// been carried out.
func (c *Client) DoAll(ctx context.Context, cmds ...Command) ([]Answer, error) {
	if len(cmds) == 0 {
		return nil, nil
	}
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	defer c.release()
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	// All is made before anything is sent: a batch with a command that is too large leaves no trace.
	batch, err := c.batch(cmds)
	if err != nil {
		return nil, err
	}
	conn := c.conn
	raw, err := conn.exchange(ctx, c.patience, batch, len(cmds)+1)
	clear(batch)
	if conn.out = batch; cap(batch) > keptSpace {
		conn.out = nil
	}
	if err != nil {
		c.drop()
		raw = raw[:min(len(raw), len(cmds))]
		err = fmt.Errorf("run %d commands on %s: %w: connection lost after %d answers: %w", len(cmds), c.path, ErrNoAnswer, len(raw), err)
	} else {
		err = c.stillServing(raw[len(cmds)])
		raw = raw[:len(cmds)]
		c.keep()
	}
	answers := make([]Answer, len(raw))
	errs := []error{err}
	for i, text := range raw {
		var aerr error
		if answers[i], aerr = classify(cmds[i], text); aerr != nil {
			aerr.(*Refused).Index = i
			errs = append(errs, aerr)
		}
	}
	return answers, joinOne(errs)
}

// joinOne is errors.Join without the wrapping when there is only one.
func joinOne(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// Pid gives the process id of the worker that serves, asked anew.
func (c *Client) Pid(ctx context.Context) (int, error) {
	info, err := c.Info(ctx)
	return info.Pid, err
}

// Reset ends the present session, so that the next command dials the worker of that time.
func (c *Client) Reset() {
	c.turn <- struct{}{}
	defer c.release()
	c.drop()
}

// Close ends the session for good.
func (c *Client) Close() {
	c.turn <- struct{}{}
	defer c.release()
	c.drop()
	c.closed = true
}

func (c *Client) batch(cmds []Command) ([]byte, error) {
	before := c.conn.n
	b := c.conn.out[:0]
	for _, cmd := range cmds {
		var err error
		if b, err = cmd.appendTo(b); err != nil {
			c.conn.n = before
			clear(b)
			return nil, err
		}
		b = c.conn.mark(b)
	}
	return c.conn.mark(append(b, "show info\n"...)), nil
}

// open makes sure of a session with the worker that serves. While a reload passes over, the old worker may
// still be the one that answers: it is asked again until the new one does.
func (c *Client) open(ctx context.Context) error {
	if c.closed {
		return fmt.Errorf("dial %s: the client is closed", c.path)
	}
	if c.conn != nil && time.Since(c.dialed) < c.age {
		c.idle.Stop()
		return nil
	}
	c.drop()
	deadline := time.Now().Add(2 * time.Second)
	for {
		err := c.dial(ctx)
		if err == nil || !errors.Is(err, ErrStaleWorker) || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

func (c *Client) dial(ctx context.Context) error {
	conn, err := openConn(ctx, c.path, c.patience)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return fmt.Errorf("dial %s: %w: %w", c.path, ErrNoAnswer, err)
	}
	c.conn, c.pid, c.dialed = conn, 0, time.Now()
	raw, err := conn.exchange(ctx, c.patience, conn.mark([]byte("show info\n")), 1)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrNoAnswer, err)
	} else {
		err = c.stillServing(raw[0])
	}
	if err != nil {
		c.drop()
		return fmt.Errorf("dial %s: %w", c.path, err)
	}
	return nil
}

// stillServing reads the «show info» that ends a batch, and ends the session when its worker is leaving.
func (c *Client) stillServing(text string) error {
	info, err := haproxy.ParseInfo(text)
	switch {
	case err != nil:
	case c.pid != 0 && info.Pid != c.pid:
		err = fmt.Errorf("%w: worker %d answers instead of %d", ErrStaleWorker, info.Pid, c.pid)
	case info.Stopping:
		err = fmt.Errorf("%w: worker %d is stopping", ErrStaleWorker, info.Pid)
	}
	if err != nil {
		c.drop()
		return err
	}
	c.pid = info.Pid
	return nil
}

// keep lets the session stay for the next command, but not for long.
func (c *Client) keep() {
	conn := c.conn
	if conn == nil {
		return
	}
	c.idle = time.AfterFunc(idleLimit, func() {
		c.turn <- struct{}{}
		defer c.release()
		if c.conn == conn {
			c.drop()
		}
	})
}

func (c *Client) drop() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
	if c.idle != nil {
		c.idle.Stop()
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
