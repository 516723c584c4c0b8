package sources

import (
	"strings"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// TestKubernetes: pods become servers over TLS, by a token of a Secret and an authority of a Certificate; one that ends is
// drained and goes; what is forbidden or forgotten changes nothing, and afterwards what has happened meanwhile is so.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	k := weirtest.NewKubernetes()
	k.Token = "canary-one"
	server, authority := k.Serve(t)
	pod := func(n, mode string) weirtest.Endpoint { return weirtest.Pod("web-"+n, "10.0.0."+n, "az1", mode) }
	k.Put(weirtest.Slice("web-a", "web", 8080, pod("1", ""), pod("2", ""), pod("3", "unready")))
	k.Put(weirtest.Slice("web-b", "web", 8080, pod("3", "unready"), pod("4", "")))
	k.Put(weirtest.Slice("db-a", "db", 5432, weirtest.Pod("db-0", "10.0.1.1", "az1", "")))
	b := newBed(t)
	b.apply("{kind: Secret, metadata: {name: kube}, spec: {data: canary-one}}\n---\nkind: Certificate\nmetadata: {name: kube}\nspec:\n  chain: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(authority), "\n", "\n    ") + `
---
{kind: DiscoverySource, metadata: {name: kube}, spec: {kubernetes: {server: "` + server.URL + `", token: kube, authority: kube, namespace: shop, service: web}, role: web, server: {ports: {http: "${port.http}"}}}}`)
	b.run()
	b.has("web-1=10.0.0.1", "web-2=10.0.0.2", "web-3=10.0.0.3 withdrawn", "web-4=10.0.0.4")
	if s := weir.Find[weir.Server](b.store.View(), "Server", "web-4"); s.Ports["http"] != 8080 || s.Zone != "az1" {
		t.Errorf("it is %+v", s)
	}
	k.Put(weirtest.Slice("web-a", "web", 8080, pod("1", ""), pod("2", "terminating"), pod("3", "")))
	k.Put(weirtest.Slice("web-b", "web", 8080, pod("3", ""), pod("4", "")))
	b.has("web-1=10.0.0.1", "web-2=10.0.0.2 draining", "web-3=10.0.0.3", "web-4=10.0.0.4")
	k.Put(weirtest.Slice("web-a", "web", 8080, pod("1", ""), pod("3", "")))
	want := []string{"web-1=10.0.0.1", "web-3=10.0.0.3", "web-4=10.0.0.4"}
	b.has(want...)

	k.Set(func(k *weirtest.Kubernetes) { k.Verbs = map[string]bool{} })
	server.CloseClientConnections()
	b.says("kube", func(s weir.SourceStatus) bool {
		return strings.Contains(s.Error, "is forbidden")
	})
	k.Put(weirtest.Slice("web-b", "web", 8080, pod("4", ""), pod("5", "")))
	k.Remove(weirtest.Slice("web-a", "web", 8080))
	k.Compact()
	b.has(want...)
	k.Set(func(k *weirtest.Kubernetes) { k.Verbs = map[string]bool{"list": true, "watch": true} })
	b.has("web-4=10.0.0.4", "web-5=10.0.0.5") // two that go are within the floor
	b.says("kube", func(s weir.SourceStatus) bool { return s.Error == "" })

	k.Set(func(k *weirtest.Kubernetes) { k.Token = "canary-two" })
	server.CloseClientConnections()
	s := b.says("kube", func(s weir.SourceStatus) bool { return strings.Contains(s.Error, "401") })
	b.apply("{kind: Secret, metadata: {name: kube}, spec: {data: canary-two}}")
	b.says("kube", func(s weir.SourceStatus) bool { return s.Error == "" })
	k.Remove(weirtest.Slice("web-b", "web", 8080))
	if s := b.says("kube", func(s weir.SourceStatus) bool { return s.Doubt != nil }); s.Doubt.Servers != 2 {
		t.Errorf("it doubts %+v", s.Doubt)
	}
	b.has("web-4=10.0.0.4", "web-5=10.0.0.5")
	if told := s.Error + b.log.String(); strings.Contains(told, "canary") {
		t.Errorf("told: %s", told)
	}
}
