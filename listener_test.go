package weir_test

import (
	"fmt"
	"strings"
	"testing"

	"weir"
)

// secureSite is a site of which only the TLS settings of its one listener are of interest.
func secureSite(mode, settings string) string {
	hostnames := "hostnames: [www.example.com], "
	if mode == "tcp" {
		hostnames = ""
	}
	return fmt.Sprintf("{kind: Site, metadata: {name: www}, spec: {mode: %s, %saddresses: [vip], listeners: [{port: 443, tls: {certificates: [www], %s}}], backends: {default: web}}}", mode, hostnames, settings)
}

func TestListenerTLSIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mode, settings, want string }{
		{"http", "profile: old", `tls.profile: is called "legacy" here`},
		{"http", "profile: strong", `tls.profile: "strong" must be one of modern, intermediate, legacy`},
		{"tcp", "earlyData: true", "tls.earlyData: needs mode http"},
		{"tcp", "http3: true", "tls.http3: needs mode http"},
		{"http", "http3: true, alpn: [http/1.1]", "tls.http3: is offered beside h2 and http/1.1, in this order; leave alpn out"},
		{"tcp", "hsts: {maxAge: 1h}", "tls.hsts: is a header of http answers"},
		{"http", "hsts: {}", "tls.hsts.maxAge: is required"},
		{"http", "hsts: {includeSubdomains: true}", "tls.hsts.maxAge: is required"},
		{"http", "hsts: {maxAge: -1s}", "tls.hsts.maxAge: -1s is outside 0s to 87600h"},
		{"http", "hsts: {maxAge: 100000h}", "tls.hsts.maxAge: 100000h is outside 0s to 87600h"},
		{"http", "hsts: {maxAge: 1500ms}", "tls.hsts.maxAge: 1.5s is no whole number of seconds"},
		{"http", "hsts: {maxAge: 8760h, preload: true}", "tls.hsts.preload: needs includeSubdomains and a maxAge of 8760h at least"},
		{"http", "hsts: {maxAge: 8759h, includeSubdomains: true, preload: true}", "tls.hsts.preload: needs includeSubdomains"},
	} {
		_, err := weir.Decode("test", []byte(secureSite(c.mode, c.settings)))
		if err == nil || !strings.Contains(err.Error(), "spec.listeners[0]."+c.want) {
			t.Errorf("%s, %s: %v; want %s", c.mode, c.settings, err, c.want)
		}
	}
}

func TestListenerTLSIsAccepted(t *testing.T) {
	t.Parallel()
	for _, settings := range []string{
		"profile: modern", "profile: legacy, earlyData: false", "earlyData: true", "http3: true", "hsts: {maxAge: 0s}",
		"hsts: {maxAge: 8760h, includeSubdomains: true, preload: true}",
	} {
		list, err := weir.Decode("test", []byte(secureSite("http", settings)))
		if err != nil {
			t.Errorf("%s: %v", settings, err)
			continue
		}
		tls := list[0].Spec.(*weir.Site).Listeners[0].TLS
		if tls.Profile == "" || strings.Join(tls.ALPN, " ") != "h2 http/1.1" || tls.HSTS == nil && strings.Contains(settings, "hsts") {
			t.Errorf("%s: %+v", settings, tls)
		}
	}
}
