package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"weir/internal/discovery"
)

const (
	pageTimeout = time.Minute      // for one page of a list, all of it
	listTimeout = 10 * time.Minute // for all pages
	openTimeout = 30 * time.Second // until a watch is open
	maxToken    = 64 << 10
	maxRefusal  = 64 << 10 // how much of a refusal is read
)

// client makes one that goes to the server and nowhere else. HTTP/1.1, as a watch that has a connection of its own is
// cut off when that is, and never by what another one does.
func client(c Config) *http.Client {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	t := &http.Transport{
		DialContext:            dial,
		TLSHandshakeTimeout:    10 * time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if c.TLS != nil {
		t.TLSClientConfig = c.TLS.Clone()
	} else {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// query is what every request asks for.
func (s *Source) query() url.Values {
	q := url.Values{}
	selector := s.c.Selector
	if s.c.Service != "" {
		if selector != "" {
			selector += ","
		}
		selector += serviceLabel + "=" + s.c.Service
	}
	if selector != "" {
		q.Set("labelSelector", selector)
	}
	return q
}

// get asks for the collection and returns an answer of status 200 in JSON, whose body the caller closes.
func (w *watcher) get(ctx context.Context, verb string, q url.Values) (*http.Response, error) {
	token, err := w.token()
	if err != nil {
		return nil, &problem{text: w.asked(verb), err: err}
	}
	w.secret = token
	target := w.path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, &problem{text: w.asked(verb), err: err}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "weir")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, w.unreachable(verb, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, w.refused(verb, resp)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		resp.Body.Close()
		return nil, &problem{
			text: w.asked(verb), anew: true,
			err: fmt.Errorf("answered with %s and not with JSON; see whether something stands before the API server", quote(resp.Header.Get("Content-Type"))),
		}
	}
	return resp, nil
}

// token reads the bearer token, which others write anew before the old one runs out.
func (s *Source) token() (string, error) {
	if s.c.TokenFile == "" {
		return s.c.Token, nil
	}
	f, err := os.Open(s.c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read the token: %w; let the control plane's user read it", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	b = bytes.TrimSpace(b)
	if len(b) == 0 || len(b) > maxToken || bytes.ContainsFunc(b, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("read the token: %s holds none; write a service account's token into it, and nothing else", s.c.TokenFile)
	}
	return string(b), nil
}

// refused makes an error of an answer that is not a good one.
func (s *Source) refused(verb string, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	p := &problem{text: s.asked(verb), anew: true, err: s.refusal(verb, resp.StatusCode, said(body))}
	switch resp.StatusCode {
	case http.StatusGone:
		p.usual, p.gone = true, true
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		p.anew = false
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
			p.wait = min(time.Duration(min(n, 3600))*time.Second, mostPause)
		}
	}
	return p
}

// bounded reads no more than left bytes, and then fails.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, discovery.ErrTooMuch
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
