package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/secrets"
)

// Options is what an agent's end needs; fields without a default are required.
type Options struct {
	// URLs of the control plane, such as https://weir.example:8443; all serve the same store.
	URLs []string
	// Dir is the agent's own folder, for key, certificate, resources and keys of certificates; 0700.
	Dir string
	// Log gets a line per connection gained and lost; the default drops them.
	Log *slog.Logger
	// Locked, when set, is called once the folder is this agent's alone, before what is in it is read; it is told
	// whether that is anything.
	Locked func(any bool)
	// Tickets, when set, is given each brief on TLS ticket keys as it comes. It must not wait, and not keep the text
	// anywhere but in memory.
	Tickets func(brief []byte)
	// Errands are those that the agent does, by kind; nil for none.
	Errands map[string]Errander
	// Sweeping, when set, is called before keys are removed that no certificate of a State refers to any more; after an
	// error they stay. It may be called while the sink works.
	Sweeping func() error
	// Now is the clock that certificates are judged by; the default is time.Now.
	Now func() time.Time
	// Silence is how long the stream may be still before it is taken for dead; the default is Silence.
	Silence time.Duration
	// Backoff bounds the pause before another try, drawn between 0 and Backoff; the default is 1 s, since
	// a fleet is back no sooner than the last of it tries.
	Backoff time.Duration
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Silence <= 0 {
		o.Silence = Silence
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	urls := make([]string, len(o.URLs))
	for i, u := range o.URLs {
		urls[i] = strings.TrimSuffix(u, "/")
	}
	o.URLs = urls
	return o
}

// Client is the agent's end. It keeps what it receives on disk, and works from there when nobody answers.
type Client struct {
	opts     Options
	journal  *journal
	keys     *keyFolder
	reporter *reporter

	offered chan struct{}
	answers chan []byte // what is to be said of ticket keys

	mu          sync.Mutex
	id          *identity
	replica     *replica // changed by the session only, under mu
	undelivered bool
	delivering  bool
	newer       chan struct{} // of the state delivered last; nil when it has been closed
	connection  Connection

	// Of the session's goroutine alone.
	renewAt  time.Time // not before which a failed renewal is tried again
	moveAt   time.Time // not before which a certificate of the CA that issues now is asked for
	expired  bool      // the control plane says that the certificate ran out
	distrust bool      // what is there does not add up: ask for all of it
	swept    bool      // no key lies about that nobody needs
}

// Connection tells how an agent stands with the control plane.
type Connection struct {
	// Up is whether a stream is open; URL is the one in use, or tried last.
	Up  bool
	URL string
	// Since is when Up last changed.
	Since time.Time
	// Err says why the last stream ended or could not begin.
	Err error
}

// Open reads an agent's folder, which Enrol has filled. Only one Client at a time can have it open.
func Open(o Options) (*Client, error) {
	o = o.withDefaults()
	if len(o.URLs) == 0 {
		return nil, errors.New("open link: name at least one URL of the control plane")
	}
	id, err := openIdentity(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	keys, damaged, err := openKeys(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	j, r, found, err := openJournal(o.Dir, o.Locked)
	if err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	if found != "" {
		o.Log.Warn("mended the journal", "found", found, "revision", r.revision)
	}
	if damaged != nil {
		o.Log.Warn("keys that lie together can't be read and are asked for again", "err", damaged)
	}
	if err := secrets.RemoveHalves(o.Dir, keys.dir); err != nil {
		o.Log.Warn("what was being written when the agent was killed stays", "err", err)
	}
	c := &Client{
		opts: o, journal: j, keys: keys, reporter: newReporter(), id: id, replica: r,
		offered: make(chan struct{}, 1), answers: make(chan []byte, 1), connection: Connection{Since: o.Now()},
	}
	c.reporter.standing, c.reporter.clock = c.standing, o.Now
	return c, nil
}

// Close lets go of the folder; Run must have returned.
func (c *Client) Close() error {
	if err := c.journal.close(); err != nil {
		return fmt.Errorf("close link: %w", err)
	}
	return nil
}

// Name is the load balancer's, as the certificate says.
func (c *Client) Name() string { return c.identity().name }

func (c *Client) identity() *identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// Connection tells how the agent stands with the control plane now.
func (c *Client) Connection() Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connection
}

// Key gives the private key, PEM, that a certificate of a State refers to, from disk. The error wraps
// fs.ErrNotExist while it has not arrived; a State is delivered anew when it has.
func (c *Client) Key(certificate string, ref weir.SealedRef) (secrets.Secret, error) {
	return c.keys.get(certificate, ref)
}

// Report sends what the agent found to the control plane, when that can be reached; of several the newest. It
// never waits. What r refers to must not be changed afterwards.
func (c *Client) Report(r Report) { c.reporter.offer(r) }

// Run gives sink what is on disk, then connects and gives it every newer state, until ctx ends. Sink is called
// from one goroutine; while it works, newer states take the place of those it has not seen. Each state is on
// disk before sink gets it. Run returns nil once ctx has ended and sink has returned.
func (c *Client) Run(ctx context.Context, sink func(State)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.deliver(ctx, sink) })
	if _, ok := c.State(); ok {
		c.offer()
	}
	failures := 0
	for i := 0; ctx.Err() == nil; i++ {
		url := c.opts.URLs[i%len(c.opts.URLs)]
		began := time.Now()
		err := c.session(ctx, url)
		if ctx.Err() != nil {
			break
		}
		c.down(url, err)
		failures++
		if time.Since(began) > c.opts.Backoff {
			failures = 1
		}
		if errors.Is(err, errRenewed) {
			failures, i = 0, i-1
		}
		most := c.opts.Backoff
		if r := (*refusal)(nil); errors.As(err, &r) && r.status == http.StatusForbidden {
			most *= 12 // it is not a matter of seconds that the load balancer was deleted
		}
		pause(ctx, failures, most)
	}
	return nil
}

// pause waits before the next try: not at all after the first failure, then twice as long each time, by chance
// between nothing and that, so that a fleet does not come back all at once.
func pause(ctx context.Context, failures int, most time.Duration) {
	if failures <= 1 {
		return
	}
	most = min(most, 100*time.Millisecond<<min(failures, 20))
	t := time.NewTimer(rand.N(most) + time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (c *Client) up(url string) {
	c.mu.Lock()
	c.connection = Connection{Up: true, URL: url, Since: c.opts.Now()}
	c.mu.Unlock()
	s, _ := c.State()
	c.opts.Log.Info("connected to the control plane", "url", url, "revision", s.Revision)
}

func (c *Client) down(url string, err error) {
	c.mu.Lock()
	old := c.connection
	c.connection = Connection{URL: url, Since: old.Since, Err: err}
	if old.Up {
		c.connection.Since = c.opts.Now()
	}
	c.mu.Unlock()
	// A control plane that is away for days is no news at every try.
	if old.Up || old.Err == nil || old.Err.Error() != err.Error() {
		c.opts.Log.Warn("not connected to the control plane; going on with what is on disk", "url", url, "err", err)
	}
}

func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return d.DialContext(ctx, network, addr)
}

// postJSON sends a small request and reads a small answer.
func postJSON(ctx context.Context, t http.RoundTripper, url string, header http.Header, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return post(ctx, t, url, header, text, answer)
}

func post(ctx context.Context, t http.RoundTripper, url string, header http.Header, body []byte, answer any) error {
	_, err := postFor(ctx, t, url, header, body, answer)
	return err
}

// postFor is post that also gives the header of the answer.
func postFor(ctx context.Context, t http.RoundTripper, url string, header http.Header, body []byte, answer any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.RoundTrip(req) // not a Client: no redirects, nobody's cookies
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		return nil, readRefusal(resp)
	}
	if answer == nil {
		return resp.Header, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(answer); err != nil {
		return nil, fmt.Errorf("read answer: %s", jsonFault(err))
	}
	return resp.Header, nil
}
