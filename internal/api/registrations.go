package api

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode/utf8"

	"weir"
	"weir/internal/registrar"
	"weir/internal/secrets"
)

// What servers that register themselves send is small.
const maxRegistrationBody = 64 << 10

// ExchangeRequest asks for a certificate.
type ExchangeRequest struct {
	// Name is that of the server; it counts when a token is exchanged, and must be the caller's own at a renewal.
	Name string `json:"name,omitempty"`
	// CSR is a certificate request in PEM; only its key counts.
	CSR string `json:"csr"`
}

// registrant finds out which server asks, by its certificate.
func (h *Handler) registrant(r *http.Request) (registrar.Caller, error) {
	if h.opts.Registrar == nil {
		return registrar.Caller{}, weir.Errorf(weir.Unavailable, "this server takes no registrations")
	}
	peer := h.peer(r)
	if peer.State != secrets.PeerRegistrant {
		return registrar.Caller{}, unauthenticated("a server that registers itself must show its certificate, which it gets for a registration token at POST /api/v1/registrations")
	}
	who := registrar.Caller{Registrant: peer.Registrant, Key: secrets.KeyHash(peer.Certificate), From: asksFrom(r)}
	if believed, err := secrets.CheckCAHashes(r.Header.Get(caHeader)); err == nil {
		who.Believes = strings.Join(believed, ",")
	}
	return who, nil
}

// shown says that a client has shown a registrant's certificate.
func (h *Handler) shown(r *http.Request) bool {
	return h.opts.Registrar != nil && h.peer(r).State == secrets.PeerRegistrant
}

// judgedKey is where the context of a request has what its connection's other end was judged to be.
type judgedKey struct{}

func (h *Handler) peer(r *http.Request) secrets.Peer {
	judged, ok := r.Context().Value(judgedKey{}).(*secrets.Judged)
	if !ok {
		judged = new(secrets.Judged) // a server without Limits
	}
	return h.opts.Registrar.Peer(r.TLS, judged)
}

// asItself lets a server that registers itself ask about itself, in place of somebody with a token: it sees what a viewer of
// its role does.
func (c *call) asItself() (err error) {
	if c.server, err = c.h.registrant(c.r); err != nil {
		return err
	}
	c.who.Subject = weir.ByRegistration + c.server.Name
	if err := c.itself(); err != nil {
		return err
	}
	role, err := c.h.opts.Registrar.Role(c.server)
	if err != nil {
		return err
	}
	c.who.Grants = []weir.Grant{{Subject: c.who.Subject, Role: role, Right: weir.Viewer}}
	return nil
}

// asksFrom is the address of a connection's other end.
func asksFrom(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// itself refuses a server that asks for another one.
func (c *call) itself() error {
	if name := c.r.PathValue("name"); name != c.server.Name {
		return weir.Errorf(weir.Forbidden, "the certificate is that of server %s, which speaks for itself alone", c.server.Name)
	}
	return nil
}

// small reads a body that is one JSON or YAML value, into what into points at.
func (c *call) small(text []byte, asJSON bool, into any) error {
	if !utf8.Valid(text) {
		return invalid("the body is not UTF-8")
	}
	if asJSON {
		if err := checkJSON(text); err != nil {
			return err
		}
	}
	problems := &weir.Problems{}
	weir.DecodeValue("body", 1, "", text, into, problems)
	return problems.Err()
}

// exchange gives a server a certificate for its token. Who fails often waits: it costs more to answer than to ask.
func (c *call) exchange() error {
	if c.h.opts.Registrar == nil {
		return weir.Errorf(weir.Unavailable, "this server takes no registrations")
	}
	if !c.h.tries.may(remotePrefix(c.r), c.h.opts.Clock()) {
		c.w.Header().Set("Retry-After", "10")
		return weir.Errorf(tooMany, "too many tries to exchange a token failed from this address; wait ten seconds")
	}
	identity, err := c.exchanged()
	if err != nil {
		c.h.tries.take(remotePrefix(c.r), c.h.opts.Clock())
		return err
	}
	c.who.Subject = weir.ByRegistration + identity.Name
	c.audit(secrets.AuditEntry{What: "exchange registration token", Object: "Server/" + identity.Name, Outcome: "accepted"})
	return c.answer(http.StatusOK, identity)
}

func (c *call) exchanged() (registrar.Identity, error) {
	scheme, text, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	hash, err := secrets.HashToken(text)
	if kind, kindErr := secrets.TokenKind(text); !strings.EqualFold(scheme, "Bearer") || err != nil || kindErr != nil || kind != registrationToken {
		return registrar.Identity{}, unauthenticated("a certificate is given for a registration token (weir token registration), sent as \"Authorization: Bearer weir_registration_…\"")
	}
	req, err := c.exchangeRequest()
	if err != nil {
		return registrar.Identity{}, err
	}
	return c.h.opts.Registrar.Exchange(c.r.Context(), hash, req.Name, req.CSR, asksFrom(c.r))
}

func (c *call) exchangeRequest() (ExchangeRequest, error) {
	var req ExchangeRequest
	asJSON, err := c.bodyType()
	if err != nil {
		return req, err
	}
	text, err := c.body(maxRegistrationBody, objectWithin)
	if err != nil {
		return req, err
	}
	return req, c.small(text, asJSON, &req)
}

// renewRegistrant gives a server another certificate for the one that it shows.
func (c *call) renewRegistrant() error {
	if err := c.itself(); err != nil {
		return err
	}
	req, err := c.exchangeRequest()
	if err != nil {
		return err
	}
	if req.Name != "" && req.Name != c.server.Name {
		return weir.Errorf(weir.Forbidden, "the certificate is that of server %s, which renews its own alone", c.server.Name)
	}
	identity, err := c.h.opts.Registrar.Renew(c.r.Context(), c.server, req.CSR)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, identity)
}

// register takes over what a server says of itself, and keeps its registration alive.
func (c *call) register() error {
	if err := c.itself(); err != nil {
		return err
	}
	asJSON, err := c.bodyType()
	if err != nil {
		return err
	}
	text, err := c.body(maxRegistrationBody, objectWithin)
	if err != nil {
		return err
	}
	c.often = true
	answer, err := c.h.opts.Registrar.Register(c.r.Context(), c.server, text, func() (*weir.Announcement, error) {
		c.often = false
		var said weir.Announcement
		if err := c.small(text, asJSON, &said); err != nil {
			return nil, err
		}
		problems := &weir.Problems{}
		said.Validate(problems)
		return &said, problems.Err()
	})
	if err != nil {
		return err
	}
	c.revision = answer.Revision
	return c.answer(http.StatusOK, answer)
}

// unregister ends a server's registration.
func (c *call) unregister() error {
	if err := c.itself(); err != nil {
		return err
	}
	reason, err := c.reason()
	if err != nil {
		return err
	}
	answer, err := c.h.opts.Registrar.Withdraw(c.r.Context(), c.server, reason)
	if err != nil {
		return err
	}
	c.revision = answer.Revision
	return c.answer(http.StatusOK, answer)
}
