package kubernetes

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// problem is why nothing could be learned.
type problem struct {
	text  string // what was asked, of whom
	err   error  // what came back, and what to do
	anew  bool   // what is known cannot be gone on from
	usual bool   // happens in good times, and is told when it does not end
	gone  bool   // the server has forgotten the moment that was asked about
	wait  time.Duration
}

func (p *problem) Error() string { return p.text + ": " + p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

// asked says what was asked, of whom.
func (s *Source) asked(verb string) string {
	what := "endpoint slices"
	if s.c.Service != "" {
		what += " of service " + s.c.Service
	}
	if s.c.Selector != "" {
		what += " with labels " + s.c.Selector
	}
	where := "all namespaces"
	if s.c.Namespace != "" {
		where = "namespace " + s.c.Namespace
	}
	return fmt.Sprintf("%s %s in %s at %s", verb, what, where, s.c.Server)
}

// unreachable makes an error of a request that was not answered.
func (s *Source) unreachable(verb string, err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // without the URL, which was said
	}
	if c := (*tls.CertificateVerificationError)(nil); errors.As(err, &c) {
		err = fmt.Errorf("%w; give the authority of the cluster (ca.crt of a service account), and a server URL with a name or address of the certificate", err)
	}
	return &problem{text: s.asked(verb), err: inTime(err)}
}

// inTime says of an error what it is about when time ran out.
func inTime(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not answered in full in time, %s for a page and %s for all: %w", pageTimeout, listTimeout, err)
	}
	return err
}

// refusal says what a status means and what to do.
func (s *Source) refusal(verb string, status int, said string) error {
	what := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if said != "" {
		what += ", " + said
	}
	switch {
	case status == http.StatusUnauthorized && s.c.TokenFile != "":
		return fmt.Errorf("%s; the token in %s is not one of this cluster or has run out: write a new one there, it is used at once", what, s.c.TokenFile)
	case status == http.StatusUnauthorized && s.c.Token != "":
		return fmt.Errorf("%s; the token is not one of this cluster or has run out: give another one", what)
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s; the server wants to know who asks: name a file with a service account's token, or a client certificate of the cluster's", what)
	case status == http.StatusForbidden:
		return fmt.Errorf("%s; %s", what, s.rule())
	case status == http.StatusNotFound:
		return fmt.Errorf("%s; the server has no EndpointSlices of discovery.k8s.io/v1: see whether the URL is that of an API server, of Kubernetes 1.21 or later", what)
	case status == http.StatusBadRequest:
		return fmt.Errorf("%s; see whether the selector is one", what)
	case status == http.StatusGone:
		return fmt.Errorf("%s; the server keeps too little of the past for the time that this takes", what)
	case status/100 == 3:
		return fmt.Errorf("%s; it leads elsewhere, which is not followed: give the URL of the API server itself", what)
	case status == http.StatusTooManyRequests:
		return fmt.Errorf("%s; the server has too much to do", what)
	case status/100 == 5:
		return fmt.Errorf("%s; see how the API server is", what)
	}
	return errors.New(what)
}

// rule says what the cluster must allow, in the words of its configuration.
func (s *Source) rule() string {
	role, in := "ClusterRole", ""
	if s.c.Namespace != "" {
		role, in = "Role", " in namespace "+s.c.Namespace
	}
	return fmt.Sprintf(`bind the user to a %s with the rule {apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"]} by a %sBinding%s`, role, role, in)
}

// said is the message of a refusal, as one line.
func said(body []byte) string {
	var s status
	if json.Unmarshal(body, &s) != nil || s.Message == "" {
		return ""
	}
	return quote(s.Message)
}

// quote is foreign text as it can be shown.
func quote(text string) string {
	const most = 400
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return fmt.Sprintf("%q", text)
}

// hidden is an error without a secret that was in it.
type hidden struct {
	text string
	err  error
}

func (h *hidden) Error() string { return h.text }
func (h *hidden) Unwrap() error { return h.err }

// hide takes a secret out of an error.
func hide(err error, secret string) error {
	if text := redact(err.Error(), secret); text != err.Error() {
		return &hidden{text, err}
	}
	return err
}

// redact takes a secret out of text, also one that was cut off behind its first 16 characters or quoted.
func redact(text, secret string) string {
	if secret == "" {
		return text
	}
	text = redactForm(text, secret)
	if quoted := strconv.Quote(secret); quoted[1:len(quoted)-1] != secret {
		text = redactForm(text, quoted[1:len(quoted)-1])
	}
	return text
}

func redactForm(text, form string) string {
	start := form[:min(16, len(form))]
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, start)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("[redacted]")
		for rest := form[len(start):]; rest != "" && after != "" && rest[0] == after[0]; rest = rest[1:] {
			after = after[1:]
		}
		text = after
	}
}
