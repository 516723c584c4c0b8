package signin

import (
	"net/http"
	"net/url"
	"strings"

	"weir"
)

// SameOrigin says why a request that brings a session's cookie may have been sent by pages of somebody else, or nil. A
// browser says itself where a request comes from, as Sec-Fetch-Site or as Origin; a write that says neither is refused.
func SameOrigin(r *http.Request) error {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	switch {
	case site == "same-origin", reads && site == "none":
		return nil
	case site != "":
		return weir.Errorf(weir.Forbidden, "the request comes from pages of another origin, which may do nothing with a session here")
	case origin != "":
		if own(r, origin) {
			return nil
		}
		return weir.Errorf(weir.Forbidden, "the request comes from pages of another origin, which may do nothing with a session here")
	case reads:
		return nil
	}
	return weir.Errorf(weir.Forbidden, "a session's cookie lets nobody write who does not say where the request comes from (Sec-Fetch-Site or Origin), as browsers do; programs send \"Authorization: Bearer weir_…\"")
}

// FromBrowserElsewhere is SameOrigin for requests that need no cookie: what no browser has sent is taken.
func FromBrowserElsewhere(r *http.Request) error {
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return nil
	}
	return SameOrigin(r)
}

// own says whether an origin is that at which the request arrived.
func own(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
}
