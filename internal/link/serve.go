package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"weir"
	"weir/internal/secrets"
)

// serve holds every request to the form of the wire and turns errors into answers.
func (h *Hub) serve(f func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		err := form(r)
		if err == nil {
			err = f(w, r)
		}
		if err == nil {
			return
		}
		no := refusalOf(err)
		h.say(r, no)
		no.write(w)
	}
}

// say logs a refusal. What belongs to the wire's own course is none: after a restart every agent is asked for all of
// its report once, and whoever comes while the hub starts or stops comes again.
func (h *Hub) say(r *http.Request, no *refusal) {
	level, message := slog.LevelWarn, "refused an agent"
	switch {
	case no.code == codeFull:
		level, message = slog.LevelInfo, "asked an agent for all of its report"
	case no.code == string(weir.Unavailable) && no.cause == nil && no.retry > 0:
		level, message = slog.LevelInfo, "asked an agent to come again"
	}
	attrs := []any{"path", r.URL.Path, "address", r.RemoteAddr, "lb", nameOf(r), "status", no.status, "reason", no.detail}
	if no.cause != nil && no.cause.Error() != no.detail {
		attrs = append(attrs, "cause", no.cause)
	}
	h.opts.Log.Log(r.Context(), level, message, attrs...)
}

func form(r *http.Request) error {
	if r.TLS == nil || r.TLS.Version < tls.VersionTLS13 || r.ProtoMajor != 2 {
		return refuse(http.StatusUpgradeRequired, "protocol", "agents speak HTTP/2 over TLS 1.3; let nothing between agent and control plane end TLS")
	}
	return nil
}

// nameOf gives whose certificate was shown, for logs only.
func nameOf(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	name, err := secrets.AgentIdentity(r.TLS.PeerCertificates[0])
	if err != nil {
		return ""
	}
	return name
}

// agent tells which load balancer's agent asks, by its certificate and by what the registry says of it.
func (h *Hub) agent(r *http.Request) (string, *x509.Certificate, error) {
	peer := h.opts.CA.Trust().Peer(r.TLS, h.opts.Now())
	switch peer.State {
	case secrets.PeerValid:
	case secrets.PeerExpired:
		return "", nil, refuse(http.StatusUnauthorized, codeExpired, "the certificate of load balancer %s ran out at %s; renew it", peer.Name, peer.Certificate.NotAfter.UTC().Format(time.RFC3339))
	case secrets.PeerNone:
		return "", nil, refuse(http.StatusUnauthorized, "no-certificate", "an agent must show its certificate")
	default:
		return "", nil, &refusal{status: http.StatusUnauthorized, code: "certificate-refused", detail: "the certificate shown is not that of an agent of this control plane", cause: peer.Err}
	}
	if err := h.opts.Registry.Admit(r.Context(), peer.Name, peer.Certificate); err != nil {
		if errors.Is(err, ErrUnknown) {
			now := h.opts.Now()
			h.strangers.note(Stranger{peer.Name, r.RemoteAddr, now, now})
		}
		return "", nil, err
	}
	return peer.Name, peer.Certificate, nil
}
