package link

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/internal/secrets"
)

var (
	errRenewed = errors.New("the certificate is due for renewal")
	errSilent  = errors.New("the control plane has said nothing for too long")
)

// renewalPause is how long a renewal that failed is left alone while the certificate is still good.
const renewalPause = 10 * time.Minute

// session holds one stream and sends reports beside it, until one of both sides has had enough. It never
// returns nil.
func (c *Client) session(ctx context.Context, base string) error {
	id := c.identity()
	t, err := transport(base, secrets.ClientConfig{Trust: id.trust, Now: c.opts.Now, Certificate: func() *tls.Certificate { return &id.cert }})
	if err != nil {
		return err
	}
	defer t.CloseIdleConnections()
	if err := c.freshen(ctx, t, base); err != nil {
		return err
	}
	return c.watch(ctx, t, base)
}

// due tells whether a renewal is to be tried now.
func (c *Client) due() bool {
	now := c.opts.Now()
	id := c.identity()
	leaf := id.cert.Leaf
	wanted := secrets.NeedsRenewal(leaf, now) || id.outdated() && now.After(c.moveAt)
	return c.expired || now.After(leaf.NotAfter) || (wanted && now.After(c.renewAt))
}

// freshen renews the certificate if it is time. One that is still good is used on when that fails.
func (c *Client) freshen(ctx context.Context, t http.RoundTripper, base string) error {
	if !c.due() {
		return nil
	}
	id := c.identity()
	next, err := id.renew(ctx, t, base, c.opts.Dir)
	if err == nil {
		c.mu.Lock()
		c.id = next
		c.mu.Unlock()
		c.expired, c.renewAt, c.moveAt = false, time.Time{}, time.Time{}
		if next.outdated() {
			c.renewAt = c.opts.Now().Add(renewalPause) // a server that lags behind the others has answered
		}
		c.opts.Log.Info("renewed the certificate", "url", base, "until", next.cert.Leaf.NotAfter)
		return errRenewed // the connection has shown the old one
	}
	if c.expired || c.opts.Now().After(id.cert.Leaf.NotAfter) {
		return err
	}
	c.renewAt = c.opts.Now().Add(renewalPause)
	c.opts.Log.Warn("can't renew the certificate yet", "until", id.cert.Leaf.NotAfter, "err", err)
	return nil
}

func (c *Client) watch(ctx context.Context, t http.RoundTripper, base string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.opts.Silence, func() { cancel(errSilent) })
	defer silence.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+watchPath, nil)
	if err != nil {
		return fmt.Errorf("watch %s: %w", base, err)
	}
	c.say(req.Header)
	resp, err := t.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("watch %s: %w", base, explain(because(ctx, err), c.Name()))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		r := readRefusal(resp)
		c.expired = c.expired || r.code == codeExpired
		return fmt.Errorf("watch %s: %w", base, r)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	f := follower{client: c, ctx: ctx, in: bufio.NewReaderSize(resp.Body, 256<<10), alive: func() { silence.Reset(c.opts.Silence) }}
	var telling sync.Mutex
	f.tell = func() {
		wg.Go(func() {
			if telling.TryLock() {
				defer telling.Unlock()
				c.tell(ctx, t, base)
			}
		})
	}
	does := c.errands(ctx, base)
	defer does.end()
	f.errand = does.begin
	f.heard = sync.OnceFunc(func() {
		c.up(base)
		wg.Go(func() { c.reporter.run(ctx, t, base, c.opts.Log) })
		wg.Go(func() { c.answer(ctx, t, base) })
	})
	err = f.run()
	if errors.Is(err, errDiverged) {
		c.distrust = true
	}
	return fmt.Errorf("watch %s: %w", base, because(ctx, err))
}

// because prefers what we ended a request for to how that looked.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// say tells the control plane what is there.
func (c *Client) say(h http.Header) {
	h.Set(trustHeader, trustOf(c.identity().trust))
	h.Set(tellHeader, "1")
	if kinds := slices.Sorted(maps.Keys(c.opts.Errands)); len(kinds) > 0 {
		h.Set(errandsHeader, strings.Join(kinds, ","))
	}
	if c.replica.epoch == "" || c.distrust {
		return
	}
	lacks := strings.Join(c.keys.lacks(c.replica.keys), ",")
	if len(lacks) > maxLacks {
		return // then everything is sent, keys too
	}
	h.Set(resumeHeader, c.replica.resume().String())
	if lacks != "" {
		h.Set(lacksHeader, lacks)
	}
}

// follower reads one stream.
type follower struct {
	client *Client
	ctx    context.Context // the session's
	in     *bufio.Reader
	alive  func() // a line has come
	tell   func() // the control plane asks what is there
	errand func(id string)
	heard  func() // the first transaction has come: the control plane takes us for who we are

	epoch string
	t     transaction
	keys  arriving
	lines int // of t
	// put is the line that commits t, once there is nothing in t beyond it.
	put   *message
	first bool
}

func (f *follower) run() error {
	f.first = true
	defer func() { _ = f.keys.end() }()
	for {
		line, err := readLine(f.in)
		if err != nil {
			return fmt.Errorf("read stream: %w", err)
		}
		f.alive()
		m, err := decodeMessage(line)
		if err != nil {
			return err
		}
		if err := f.take(m); err != nil {
			return err
		}
		if f.client.due() {
			return errRenewed
		}
	}
}

func (f *follower) take(m message) error {
	if m.Epoch != "" {
		f.epoch = m.Epoch
	}
	if f.epoch == "" {
		return errors.New("read stream: it does not begin with an epoch")
	}
	if len(m.Secrets) > 0 {
		f.client.swept = false
		f.keys.add(m.Secrets)
	} else if len(m.Put) > 0 {
		f.keys.begin(f.client.keys) // the disk is waited for while the rest comes
	}
	if m.Trust != nil {
		if err := f.keep(func() error { return f.client.believe(m.Trust) }); err != nil {
			return err
		}
	}
	if m.Tickets != nil && f.client.opts.Tickets != nil {
		f.client.opts.Tickets(m.Tickets)
	}
	if m.Tell {
		f.tell()
	}
	if m.Errand != "" {
		f.errand(m.Errand)
	}
	f.t.add(m)
	if m.Hash == nil {
		if f.put != nil && m.changesNothing() && !f.ready() {
			return f.commit(f.put) // nothing follows after all
		}
		if !m.changesNothing() {
			f.put = nil
		}
		return nil
	}
	// When the next line is here already, one more round of the disk can serve both.
	if !f.first && !f.t.empty() && f.lines < 1000 && f.ready() {
		f.lines++
		f.put = &m
		return nil
	}
	return f.commit(&m)
}

// commit brings what has come to an end at a line that says so.
func (f *follower) commit(m *message) error {
	t := f.t
	f.t, f.lines, f.put = transaction{}, 0, nil
	if err := f.keys.end(); err != nil {
		// What was said of the disk in passing is asked of it anew.
		if err := f.keep(func() error { return f.keys.put(f.client.keys) }); err != nil {
			return err
		}
	}
	if err := f.keep(func() error { return f.client.commit(&t, f.epoch, m.Revision, *m.Hash, f.first) }); err != nil {
		return err
	}
	f.first = false
	f.heard()
	return nil
}

// ready tells whether a whole line can be read without waiting.
func (f *follower) ready() bool {
	b, _ := f.in.Peek(f.in.Buffered())
	return bytes.IndexByte(b, '\n') >= 0
}

// commit makes a transaction durable, then visible.
func (c *Client) commit(t *transaction, epoch string, revision int64, hash Hash, first bool) error {
	r := c.replica
	before := r.resume()
	if err := r.check(t, epoch, revision, hash); err != nil {
		return err
	}
	anew := t.reset || epoch != r.epoch
	switch err := error(nil); {
	case anew:
		if err = c.rewrite(t, epoch, revision, hash); err != nil {
			return err
		}
		c.distrust = false
	case !t.empty() && c.journal.bloated(t.size()):
		if err = c.rewrite(t, epoch, revision, hash); err == nil {
			break
		}
		c.opts.Log.Warn("can't make the journal shorter; it is used on as it is", "err", err)
		fallthrough
	default:
		if err = c.append(t, epoch, revision, hash); err != nil {
			return err
		}
	}
	if !t.empty() || t.keyed || (first && before != c.replica.resume()) {
		c.swept = false
		c.offer()
	} else {
		c.tidy()
	}
	return nil
}

// rewrite keeps what a transaction leads to in place of all that was kept before.
func (c *Client) rewrite(t *transaction, epoch string, revision int64, hash Hash) error {
	c.mu.Lock()
	next := *c.replica
	next.lent = true
	c.mu.Unlock()
	if err := next.apply(t, epoch, revision, hash); err != nil {
		return err
	}
	if err := c.journal.rewrite(&next); err != nil {
		return err
	}
	c.mu.Lock()
	c.replica = &next
	c.mu.Unlock()
	return nil
}

// append keeps a transaction behind what was kept before.
func (c *Client) append(t *transaction, epoch string, revision int64, hash Hash) error {
	if !t.empty() {
		if err := c.journal.append(t.lines(make([]byte, 0, t.size()), revision, hash)); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica.apply(t, epoch, revision, hash)
}

// tidy removes keys that no certificate refers to any more, once the sink has let go of them.
func (c *Client) tidy() {
	if c.swept || !c.settled() {
		return
	}
	if err := c.keys.sweep(c.opts.Sweeping, c.replica.keys); err != nil {
		c.opts.Log.Warn("can't remove old keys", "err", err)
	}
	c.swept = true
}
