package link

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"weir"
	"weir/internal/secrets"
)

type enrolRequest struct {
	Name    string `json:"name,omitempty"`
	CSR     string `json:"csr"`
	Agent   string `json:"agent,omitempty"`
	HAProxy string `json:"haproxy,omitempty"`
}

type renewRequest struct {
	CSR string `json:"csr"`
}

// identityAnswer is what an agent is given to prove who it is.
type identityAnswer struct {
	Name string `json:"name"`
	// Certificate is the chain, CA the bundle to believe, both PEM.
	Certificate string `json:"certificate"`
	CA          string `json:"ca"`
}

func (h *Hub) enrol(w http.ResponseWriter, r *http.Request) error {
	if wait, ok := h.limiter.allow(r.RemoteAddr, h.opts.Now()); !ok {
		return refuse(http.StatusTooManyRequests, "too-many", "too many tries to join from this address; wait %s", wait).after(wait)
	}
	text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	hash, err := secrets.HashToken(text)
	if kind, kerr := secrets.TokenKind(text); err != nil || kerr != nil || kind != "join" {
		return refuse(http.StatusUnauthorized, string(weir.Unauthenticated), "joining needs a join token as bearer")
	}
	var req enrolRequest
	if err := readBody(w, r, &req); err != nil {
		return err
	}
	if req.Name != "" {
		if err := weir.CheckName(req.Name); err != nil {
			return refuse(http.StatusBadRequest, string(weir.Invalid), "name %s", err)
		}
	}
	e := Enrolment{TokenHash: hash, Name: req.Name, Agent: version(req.Agent), HAProxy: version(req.HAProxy), Address: r.RemoteAddr}
	var cert *x509.Certificate
	var name string
	issue := func(decided string) (*x509.Certificate, error) {
		c, err := h.opts.CA.IssueAgent([]byte(req.CSR), decided)
		if err != nil {
			return nil, weir.Errorf(weir.Invalid, "%s", err)
		}
		cert, name = c, decided
		return c, nil
	}
	if err := h.opts.Registry.Enrol(r.Context(), e, issue); err != nil {
		return err
	}
	if cert == nil {
		return errors.New("enrol: the registry asked for no certificate")
	}
	h.limiter.refund(r.RemoteAddr)
	h.opts.Log.Info("agent enrolled", "lb", name, "address", r.RemoteAddr, "agent", e.Agent, "haproxy", e.HAProxy, "serial", secrets.Serial(cert))
	h.answer(w, name, cert)
	return nil
}

func (h *Hub) renew(w http.ResponseWriter, r *http.Request) error {
	now := h.opts.Now()
	peer := h.opts.CA.Trust().Peer(r.TLS, now)
	if peer.State != secrets.PeerValid && peer.State != secrets.PeerExpired {
		return &refusal{status: http.StatusUnauthorized, code: "no-certificate", detail: "an agent must show the certificate that it renews", cause: peer.Err}
	}
	var req renewRequest
	if err := readBody(w, r, &req); err != nil {
		return err
	}
	name, err := h.opts.CA.Trust().VerifyRenewal(peer.Certificate, []byte(req.CSR), now)
	if err != nil {
		return refuse(http.StatusForbidden, string(weir.Forbidden), "%s", err)
	}
	next, err := h.opts.CA.IssueAgent([]byte(req.CSR), name)
	if err != nil {
		return refuse(http.StatusBadRequest, string(weir.Invalid), "%s", err)
	}
	if err := h.opts.Registry.Renew(r.Context(), name, peer.Certificate, next); err != nil {
		return err
	}
	h.opts.Log.Info("agent renewed its certificate", "lb", name, "address", r.RemoteAddr, "shown", peer.State.String(), "serial", secrets.Serial(next))
	h.answer(w, name, next)
	return nil
}

func (h *Hub) answer(w http.ResponseWriter, name string, cert *x509.Certificate) {
	writeJSON(w, identityAnswer{Name: name, Certificate: string(h.opts.CA.ChainPEM(cert)), CA: string(h.opts.CA.Trust().PEM())})
}

// readBody reads a small JSON body. Fields that it does not know are passed over, since a newer agent may have them.
func readBody(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEnrolBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return refuse(http.StatusRequestEntityTooLarge, string(weir.TooLarge), "the body is longer than %d bytes", maxEnrolBody)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, string(weir.Invalid), "the body can't be read")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(v); err != nil {
		return refuse(http.StatusBadRequest, string(weir.Invalid), "the body: %s", jsonFault(err))
	}
	return nil
}

// version keeps what an agent calls itself short and printable: it goes into logs and tables.
func version(s string) string {
	out := []byte(s[:min(len(s), 64)])
	for i, c := range out {
		if c < ' ' || c > '~' {
			out[i] = '?'
		}
	}
	return string(out)
}
