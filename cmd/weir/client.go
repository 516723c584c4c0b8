package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/secrets"
)

// Bounds of one exchange with the control plane.
const (
	answerWithin = 30 * time.Second
	applyWithin  = 5 * time.Minute
	longestLine  = 64 << 20
)

// wallClock is this machine's clock; tests set another.
var wallClock = time.Now

// client talks to one control plane.
type client struct {
	base    *url.URL
	token   string
	http    *http.Client
	timeout time.Duration
	// skew is by how many nanoseconds the control plane's clock is ahead of ours, as of the last answer.
	skew atomic.Int64
	// learn is told once which CAs to pin from now on; nil learns nothing.
	learn    func([]string)
	learning sync.Once
}

// connect makes a client for the control plane that the command line and the environment choose.
func connect(cmd *cobra.Command) (*client, error) {
	to, err := chosen(cmd)
	if err != nil {
		return nil, err
	}
	c, err := newClient(to, timeoutOf(cmd, answerWithin))
	if err == nil {
		c.learn = learner(cmd, to)
	}
	return c, err
}

func newClient(to namedContext, timeout time.Duration) (*client, error) {
	base, err := parseURL(to.URL)
	if err != nil {
		return nil, err
	}
	tls, err := secrets.ClientTLS(secrets.ClientConfig{ServerName: base.Hostname(), CAHash: to.CA, Now: wallClock})
	if err != nil {
		return nil, err
	}
	if _, err := secrets.TokenKind(to.Token); err != nil {
		return nil, fmt.Errorf("the token for %s can't be used: %w", base, err)
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: tls, ForceAttemptHTTP2: true,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
	}
	return &client{base: base, token: strings.TrimSpace(to.Token), timeout: timeout, http: &http.Client{
		Transport: transport,
		// A redirect would take the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// now is the time by the control plane's clock, so that a wrong one here makes no expired wishes.
func (c *client) now() time.Time { return wallClock().Add(time.Duration(c.skew.Load())) }

// call is one request to the API.
type call struct {
	method, path string
	query        url.Values
	body         []byte
	// header holds further headers.
	header http.Header
}

// get reads path, below /api/v1, into an answer.
func (c *client) get(ctx context.Context, path string, query url.Values, answer any) error {
	return c.do(ctx, call{method: http.MethodGet, path: path, query: query}, answer)
}

// do makes one request within the client's timeout and reads the answer, unless that is nil.
func (c *client) do(ctx context.Context, what call, answer any) error {
	limited, cancel := context.WithTimeoutCause(ctx, c.timeout, errTimeout)
	defer cancel()
	resp, err := c.send(limited, what)
	if err != nil {
		if what.method != http.MethodGet && errors.Is(context.Cause(limited), errTimeout) {
			return fmt.Errorf("%w; the change may have been made or not: weir history tells, and the same command may be given again", err)
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		if cause := c.lost(limited, err); cause != nil {
			return cause
		}
		return fmt.Errorf("read the answer of %s: it is not what this version of weir understands: %w", c.base.Host, err)
	}
	return nil
}

var errTimeout = errors.New("timeout")

// lost explains an exchange that was cut, nil when the context is fine.
func (c *client) lost(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return fmt.Errorf("%s did not answer within %s; --timeout waits longer", c.base.Host, c.timeout)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, secrets.ErrPin):
		return fmt.Errorf("%s is not to be trusted: %w; if its CA was changed while you were away, or it was made anew, log in again, or set WEIR_CA anew: weir login %s --ca sha256:…, with the hash that weir ca status tells others, or weir ca hash ca.crt in the server's data folder", c.base.Host, err, c.base)
	}
	return nil
}

// send makes a request; an answer that refuses is an error.
func (c *client) send(ctx context.Context, what call) (*http.Response, error) {
	to := c.base.JoinPath("/api/v1/", what.path)
	to.RawQuery = what.query.Encode()
	req, err := http.NewRequestWithContext(ctx, what.method, to.String(), bytes.NewReader(what.body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.base.Host, err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + c.token}, "User-Agent": {"weir/" + buildVersion()}}
	if len(what.body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range what.header {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if inner := new(url.Error); errors.As(err, &inner) {
			err = inner.Err // it names only what was asked, which people know
		}
		if cause := c.lost(ctx, err); cause != nil {
			return nil, cause
		}
		return nil, fmt.Errorf("the control plane at %s can't be reached: %w", c.base.Host, err)
	}
	c.hear(resp)
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// A difference below that is the answer's way and the header's whole seconds.
		if skew := at.Sub(wallClock()); skew.Abs() > 2*time.Second {
			c.skew.Store(int64(skew))
		}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer func() { _ = resp.Body.Close() }()
		return nil, c.refused(resp)
	}
	return resp, nil
}

// refused reads a problem; what is none came from something between us and the control plane.
func (c *client) refused(resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	r := &refusal{}
	if err := json.Unmarshal(text, &r.Problem); err != nil || r.Status == 0 {
		return fmt.Errorf("%s answered %s, and not as a control plane of Weir does; is the address right?", c.base.Host, resp.Status)
	}
	return r
}

// one reads an object; its absence is a *refusal with status 404.
func (c *client) one(ctx context.Context, kind weir.Kind, name string) (*object, error) {
	o := new(object)
	if err := c.get(ctx, kind.Plural+"/"+url.PathEscape(name), nil, o); err != nil {
		return nil, err
	}
	return o, nil
}

// objectList is a collection as the API answers it.
type objectList struct {
	Revision int64     `json:"revision"`
	Items    []*object `json:"items"`
	Continue string    `json:"continue"`
}

// all reads a collection.
func (c *client) all(ctx context.Context, kind weir.Kind, query url.Values) (*objectList, error) {
	list := new(objectList)
	if err := c.get(ctx, kind.Plural, query, list); err != nil {
		return nil, err
	}
	return list, nil
}
