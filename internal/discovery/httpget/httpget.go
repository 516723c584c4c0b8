// Package httpget asks places outside over HTTP, as drivers of package discovery do it: one GET at a time, whole
// answers of bounded length within a bounded time, no redirects, no proxies, and errors that hold no secret.
package httpget

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"weir/internal/discovery"
)

// Dial makes a connection.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Client asks one place. Make one with New, and Close it.
type Client struct {
	transport *http.Transport
	client    *http.Client
}

// New makes a Client whose connections dial makes, in the usual way if it is nil, with TLS as given or the usual one.
func New(dial Dial, secure *tls.Config) *Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	t := &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        secure.Clone(),
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    1024, // each question that hangs has its own, and comes back to it
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
	}
	return &Client{transport: t, client: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close ends the connections that nothing is asked on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Answer is what came back, whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Get asks for u, and returns an answer of any status that is whole, is no longer than discovery.MaxAnswer, leads
// nowhere else and comes within the time given. Its errors say what happened, not what was asked.
func (c *Client) Get(ctx context.Context, u *url.URL, header http.Header, timeout time.Duration) (*Answer, error) {
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.get(ctx, within, u, header, timeout)
}

// GetOnce is Get that does not ask anew by itself when a connection ends before an answer: for questions that hang, since
// what they wait for may be another thing when somebody else answers.
func (c *Client) GetOnce(ctx context.Context, u *url.URL, header http.Header, timeout time.Duration) (*Answer, error) {
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	within, stop := context.WithCancelCause(within)
	defer stop(nil)
	var connections atomic.Int32
	within = httptrace.WithClientTrace(within, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if connections.Add(1) > 1 {
			stop(errLost)
		}
	}})
	a, err := c.get(ctx, within, u, header, timeout)
	if err != nil && context.Cause(within) == errLost {
		return nil, errLost
	}
	return a, err
}

var errLost = errors.New("the connection ended before the answer")

func (c *Client) get(ctx, within context.Context, u *url.URL, header http.Header, timeout time.Duration) (*Answer, error) {
	req := (&http.Request{Method: http.MethodGet, URL: u, Header: header, Host: u.Host}).WithContext(within)
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, words(ctx, err, timeout)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified {
		return nil, fmt.Errorf("HTTP %d leads elsewhere, and redirects are not followed: name the address that answers itself", resp.StatusCode)
	}
	if endless(resp) && resp.StatusCode < 400 { // half of a refusal is one, too
		return nil, errors.New("the answer does not say how long it is, so that half of it would look like all: let the server send Content-Length or chunks")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, discovery.MaxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("the answer, HTTP %d, ends early: %w", resp.StatusCode, words(ctx, err, timeout))
	}
	if len(body) > discovery.MaxAnswer {
		return nil, fmt.Errorf("the answer is %w, which is %d MiB", discovery.ErrTooMuch, discovery.MaxAnswer>>20)
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// endless says of an answer that it goes on until the connection ends, for whatever reason that does.
func endless(resp *http.Response) bool {
	return resp.ContentLength < 0 && resp.ProtoMajor == 1 && len(resp.TransferEncoding) == 0 && !resp.Uncompressed
}

// words is an error without what was asked, which its URL might hold secrets of.
func words(ctx context.Context, err error, timeout time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var untrusted *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no whole answer within %s", timeout.Round(time.Second))
	case errors.As(err, &untrusted):
		return fmt.Errorf("its certificate is not believed: %w; name the authority that signed it", untrusted.Err)
	case errors.As(err, &notTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return errors.New("it does not speak TLS: use http://")
	}
	return err
}

// OneLine makes one line of about that many bytes at most of what somebody else said, without control characters and
// without the secrets given.
func OneLine(text string, longest int, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	var b strings.Builder
	for word := range strings.FieldsSeq(strings.ToValidUTF8(text, "?")) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		for _, r := range word {
			if r < ' ' || r >= 0x7f && r < 0xa0 {
				r = '?'
			}
			b.WriteRune(r)
			if b.Len() > longest {
				return strings.ToValidUTF8(b.String()[:longest], "") + " …"
			}
		}
	}
	return b.String()
}

// Failure is err in one line of words for people, behind what was done, without the secrets given. It says still whether
// it is about the bounds, and nothing else can be had of err, which might show what must not be.
func Failure(done string, err error, secrets ...string) error {
	return &failure{done + ": " + OneLine(err.Error(), 600, secrets...), errors.Is(err, discovery.ErrTooMuch)}
}

type failure struct {
	text    string
	tooMuch bool
}

func (f *failure) Error() string { return f.text }

func (f *failure) Is(target error) bool { return f.tooMuch && target == discovery.ErrTooMuch }

// CheckURL gives the URL of a place that can be asked.
func CheckURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Opaque != "":
		return nil, errors.New("it must begin with http:// or https://")
	case u.Hostname() == "":
		return nil, errors.New("it names no host")
	case u.User != nil:
		return nil, errors.New("it must hold no user or password, which would show: give a token")
	case u.Fragment != "":
		return nil, errors.New("it must not have a part after #")
	}
	return u, nil
}
