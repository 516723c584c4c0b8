package acme

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"
)

const (
	// maxAnswer bounds an answer: an order of a hundred names takes some 20 KiB, a chain no more.
	maxAnswer = 1 << 20
	// maxWait bounds what a CA may ask for, lest a slip of its stop renewals for good. Let's Encrypt's longest wait is
	// the 34 hours that it takes until a certificate of the same names may be had again.
	maxWait = 7 * 24 * time.Hour
	// timeout is an exchange's when the caller's HTTP client has none.
	timeout = 30 * time.Second
)

// call is one thing asked of the CA, for which the library may send several requests: it keeps what came of the last.
type call struct {
	// once says that it must not be done twice: when it is not known what became of a request, none follows.
	once bool
	now  func() time.Time

	stop        error // no further request goes out
	err         error // why there was no whole answer
	status      int
	contentType string
	problem     *acmez.Problem
	retryAfter  time.Time
}

type callKey struct{}

func (c *Client) call(ctx context.Context, once bool) (context.Context, *call) {
	k := &call{once: once, now: c.now}
	return context.WithValue(ctx, callKey{}, k), k
}

// transport stands between the library and the caller's HTTP client. It reads each answer whole and bounded, notes what
// came for the call that it is of, keeps the library from repeating what must not be repeated, and answers the
// library's own question for the directory, for which that would hold a lock of all its clients.
type transport struct {
	base http.RoundTripper
	// timeout is an exchange's, body included.
	timeout time.Duration
	// directory are the answers to the library's question, by URL.
	directory func(url string) []byte
}

func bounded(given *http.Client) *http.Client {
	c := *given
	c.Transport = &transport{
		base:    cmp.Or[http.RoundTripper](given.Transport, http.DefaultTransport),
		timeout: cmp.Or(given.Timeout, timeout),
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar = nil
	c.Timeout = 0 // the transport's, which can tell it from other ends
	return &c
}

// with gives a client whose transport knows a directory.
func with(c *http.Client, url string, body []byte) *http.Client {
	t := *c.Transport.(*transport)
	t.directory = func(asked string) []byte {
		if asked == url {
			return body
		}
		return nil
	}
	d := *c
	d.Transport = &t
	return &d
}

// RoundTrip sends one request; it is exported for the HTTP client only.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.directory != nil {
		if body := t.directory(req.URL.String()); body != nil {
			h := http.Header{"Content-Type": {"application/json"}}
			return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(bytes.NewReader(body)), Request: req}, nil
		}
	}
	k, ok := req.Context().Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("send a request: it is of no call")
	}
	if k.stop != nil {
		return nil, k.stop
	}
	if err := checkURL(req.URL.String()); err != nil {
		k.err = err
		k.stop = err
		return nil, err
	}
	resp, body, err := t.exchange(req)
	k.note(resp, body, err, req.Method == http.MethodPost)
	if err != nil {
		return nil, err
	}
	if k.problem != nil {
		resp.Header.Set("Content-Type", "application/problem+json")
	}
	// Other chains are not wanted, and a chain in pieces is none of ACME.
	resp.Header.Del("Link")
	return resp, nil
}

var errTooLong = fmt.Errorf("the answer is longer than %d KiB", maxAnswer>>10)

func (t *transport) exchange(req *http.Request) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(req.Context(), t.timeout)
	defer cancel()
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, nil, err
	}
	whole := resp.Body
	defer func() { _ = whole.Close() }()
	body, err := io.ReadAll(io.LimitReader(whole, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errTooLong
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, body, err
}

func (k *call) note(resp *http.Response, body []byte, err error, post bool) {
	k.err, k.status, k.contentType, k.problem, k.retryAfter = err, 0, "", nil, time.Time{}
	if resp != nil {
		k.status = resp.StatusCode
		k.contentType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
		k.retryAfter = retryAfter(resp.Header, k.now())
		if k.status >= 400 {
			k.problem = parseProblem(k.contentType, body)
		}
	}
	switch {
	case err != nil && (k.once && post || isTimeout(err)):
		k.stop = err
	case k.status >= 400 && (!k.retryAfter.IsZero() || k.once && post && k.status != http.StatusBadRequest):
		k.stop = errors.New("not repeated")
	}
}

func parseProblem(contentType string, body []byte) *acmez.Problem {
	if contentType != "application/problem+json" && contentType != "application/json" {
		return nil
	}
	var p acmez.Problem
	if json.Unmarshal(body, &p) != nil || p.Type == "" {
		return nil
	}
	return &p
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// retryAfter gives the moment that an answer asks to wait for, zero when it asks for none. A date is held against the
// CA's own clock, so that a wrong one of ours does no harm.
func retryAfter(h http.Header, now time.Time) time.Time {
	text := strings.TrimSpace(h.Get("Retry-After"))
	wait := time.Duration(0)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		wait = time.Duration(min(n, int64(maxWait/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		theirs, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			theirs = now
		}
		wait = at.Sub(theirs)
	} else {
		return time.Time{}
	}
	return now.Add(min(max(wait, 0), maxWait))
}

// checkURL refuses what no request goes to, whoever names it.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("the CA names an address that is no https URL")
	}
	return nil
}

// failed makes an Error of a call that the library returned err for; with an answer that looks well it is the library
// that could not make sense of it.
func (k *call) failed(ctx context.Context, step Step, err error, secrets ...string) *Error {
	e := k.classify(ctx, step, err, secrets)
	if !k.retryAfter.IsZero() && e.Retry {
		e.NotBefore = k.retryAfter
	}
	return e
}

func (k *call) classify(ctx context.Context, step Step, err error, secrets []string) *Error {
	answered := func(kind, detail string, retry, over bool) *Error {
		return &Error{Step: step, Type: kind, Status: k.status, Detail: detail, Retry: retry, over: over}
	}
	switch {
	case ctx.Err() != nil:
		return answered(TypeCanceled, "stopped while the CA was asked", true, false)
	case k.err != nil:
		return k.broken(step)
	case k.problem != nil:
		return problem(step, k.problem, k.status, secrets)
	case k.status == http.StatusTooManyRequests:
		return answered("rateLimited", "the CA says HTTP 429 and nothing else", true, false)
	case k.status == http.StatusNotFound || k.status == http.StatusGone:
		return answered(TypeNotFound, fmt.Sprintf("the CA says HTTP %d", k.status), true, true)
	case k.status >= 300 && k.status < 400:
		return answered(TypeBadAnswer, fmt.Sprintf("the CA says HTTP %d, and redirects are not followed", k.status), true, false)
	case k.status >= 400:
		return answered(TypeBadAnswer, fmt.Sprintf("HTTP %d without an ACME problem, %s", k.status, k.kind()), true, false)
	case k.status == 0:
		return answered(TypeBadAnswer, clean(err.Error(), secrets...), true, false)
	}
	return answered(TypeBadAnswer, fmt.Sprintf("HTTP %d, %s, is not what the CA was asked for", k.status, k.kind()), true, false)
}

func (k *call) kind() string { return cmp.Or(clean(k.contentType), "of no content type") }

// broken is about an exchange that came to no end.
func (k *call) broken(step Step) *Error {
	e := &Error{Step: step, Type: TypeUnreachable, Status: k.status, Retry: true}
	err := k.err
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var untrusted *tls.CertificateVerificationError
	switch {
	case isTimeout(err):
		e.Type, e.Detail = TypeTimeout, "no answer in time"
	case errors.As(err, &untrusted):
		e.Detail = clean("the certificate of the directory's own TLS: "+untrusted.Err.Error()) + untold(untrusted.Err)
	case k.status != 0 || errors.Is(err, errTooLong):
		e.Type, e.Detail = TypeBadAnswer, clean(fmt.Sprintf("HTTP %d with a body that ends early or never: %v", k.status, err))
	default:
		e.Detail = clean(err.Error())
	}
	return e
}

// untold says what to do about a directory whose TLS nobody here believes, as that of an authority of one's own.
func untold(err error) string {
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		return ""
	}
	return "; have the Issuer's spec.acme.authority name a Certificate without a key that holds what signed it"
}

// is says that the CA refused with one of these problems.
func (k *call) is(types ...string) bool {
	return k.problem != nil && slices.Contains(types, shortType(k.problem.Type))
}
