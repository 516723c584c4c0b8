package weirtest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP answers one request; it is exported for the HTTP server only.
func (k *Kubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	verb := "list"
	if q.Get("watch") == "1" {
		verb = "watch"
	}
	k.mu.Lock()
	k.asked = append(k.asked, verb+" "+r.URL.RawQuery)
	odd, token, allowed := k.Odd, k.Token, k.Verbs[verb]
	k.mu.Unlock()
	if odd != nil && odd(w, r) {
		return
	}
	namespace, ok := kubernetesNamespace(r.URL.Path)
	switch {
	case token != "" && r.Header.Get("Authorization") != "Bearer "+token:
		RefuseKubernetes(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
	case !ok:
		RefuseKubernetes(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	case r.Method != http.MethodGet || r.Header.Get("Accept") != "application/json":
		RefuseKubernetes(w, http.StatusNotAcceptable, "NotAcceptable", "only GET of JSON is spoken here")
	case !allowed:
		RefuseKubernetes(w, http.StatusForbidden, "Forbidden", fmt.Sprintf(`endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:weir:weir" cannot %s resource "endpointslices" in API group "discovery.k8s.io" in the namespace %q`, verb, namespace))
	case verb == "watch":
		k.watch(w, r, namespace)
	default:
		k.list(w, r, namespace)
	}
}

func kubernetesNamespace(path string) (namespace string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/apis/discovery.k8s.io/v1/")
	if !ok || rest == "endpointslices" {
		return "", ok
	}
	rest, ok = strings.CutPrefix(rest, "namespaces/")
	namespace, what, _ := strings.Cut(rest, "/")
	return namespace, ok && what == "endpointslices"
}

// RefuseKubernetes answers with a Status as an API server does.
func RefuseKubernetes(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(kubernetesFailure(code, reason, message))
}

func kubernetesFailure(code int, reason, message string) map[string]any {
	return map[string]any{
		"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure",
		"message": message, "reason": reason, "code": code,
	}
}

// known refuses what an API server does not know of.
func knownParameters(w http.ResponseWriter, r *http.Request, names ...string) bool {
	for name := range r.URL.Query() {
		if !slices.Contains(append(names, "labelSelector"), name) {
			RefuseKubernetes(w, http.StatusBadRequest, "BadRequest", "unknown parameter "+name)
			return false
		}
	}
	return true
}

func matchesSlice(s *EndpointSlice, namespace, selector string) bool {
	if s == nil || namespace != "" && s.Metadata.Namespace != namespace {
		return false
	}
	for _, want := range strings.Split(selector, ",") {
		k, v, _ := strings.Cut(want, "=")
		if want != "" && s.Metadata.Labels[k] != v {
			return false
		}
	}
	return true
}

// list answers with a page of what is there now or, by its continue token, was when the first page was asked for.
func (k *Kubernetes) list(w http.ResponseWriter, r *http.Request, namespace string) {
	if !knownParameters(w, r, "limit", "continue") {
		return
	}
	q := r.URL.Query()
	k.mu.Lock()
	version, from := k.version, ""
	if token := q.Get("continue"); token != "" {
		b, _ := base64.RawURLEncoding.DecodeString(token)
		if _, err := fmt.Sscanf(string(b), "%d %s", &version, &from); err != nil {
			version = 0
		}
		if k.Expires > 0 {
			k.Expires--
			version = 0
		}
	}
	moment := k.moments[version]
	k.mu.Unlock()
	if moment == nil {
		RefuseKubernetes(w, http.StatusGone, "Expired", "The provided continue parameter is too old to display a consistent list result.")
		return
	}
	limit, err := strconv.Atoi(cmp.Or(q.Get("limit"), "0"))
	if err != nil || limit < 0 {
		RefuseKubernetes(w, http.StatusBadRequest, "BadRequest", "limit")
		return
	}
	meta := map[string]any{"resourceVersion": strconv.Itoa(version)}
	items := []*EndpointSlice{}
	for _, key := range slices.Sorted(maps.Keys(moment)) {
		if key < from || !matchesSlice(moment[key], namespace, q.Get("labelSelector")) {
			continue
		}
		if limit > 0 && len(items) == limit {
			meta["continue"] = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", version, key))
			break
		}
		items = append(items, moment[key])
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": meta, "items": items})
}

// watch sends what changes after a version, until the time is over that was asked for.
func (k *Kubernetes) watch(w http.ResponseWriter, r *http.Request, namespace string) {
	q := r.URL.Query()
	at, err := strconv.Atoi(q.Get("resourceVersion"))
	timeout, err2 := strconv.Atoi(q.Get("timeoutSeconds"))
	if !knownParameters(w, r, "watch", "allowWatchBookmarks", "resourceVersion", "timeoutSeconds") {
		return
	}
	if err != nil || err2 != nil || at == 0 || q.Get("allowWatchBookmarks") != "true" {
		RefuseKubernetes(w, http.StatusBadRequest, "BadRequest", "watch from a version, for some time, with bookmarks")
		return
	}
	k.mu.Lock()
	gone, as := at < k.compacted, k.GoneAs
	k.mu.Unlock()
	if gone && as != http.StatusOK {
		RefuseKubernetes(w, as, "Expired", "too old resource version")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	s := &kubernetesWatch{w: w, namespace: namespace, selector: q.Get("labelSelector"), at: at}
	if gone {
		s.send("ERROR", kubernetesFailure(http.StatusGone, "Expired", "too old resource version"))
		return
	}
	end := time.NewTimer(time.Duration(timeout) * time.Second)
	defer end.Stop()
	for {
		_ = http.NewResponseController(w).Flush()
		k.mu.Lock()
		changes, marks, wake := slices.Clone(k.changes), slices.Clone(k.bookmarks), k.changed
		k.mu.Unlock()
		s.catchUp(changes, marks)
		select {
		case <-wake:
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// kubernetesWatch is one open watch.
type kubernetesWatch struct {
	w                   http.ResponseWriter
	namespace, selector string
	at                  int
}

func (s *kubernetesWatch) send(kind string, object any) {
	b, _ := json.Marshal(map[string]any{"type": kind, "object": object})
	_, _ = s.w.Write(append(b, '\n'))
	_ = http.NewResponseController(s.w).Flush()
}

func (s *kubernetesWatch) catchUp(changes []sliceChange, marks []int) {
	for _, c := range changes {
		if c.version <= s.at {
			continue
		}
		s.mark(marks, c.version)
		s.at = c.version
		was, is := matchesSlice(c.before, s.namespace, s.selector), matchesSlice(c.after, s.namespace, s.selector)
		switch {
		case was && is:
			s.send("MODIFIED", WatchedSlice(c.after, c.version))
		case is:
			s.send("ADDED", WatchedSlice(c.after, c.version))
		case was:
			s.send("DELETED", WatchedSlice(c.before, c.version))
		}
	}
	s.mark(marks, 1<<60)
}

// mark sends the bookmarks between where the stream is and before.
func (s *kubernetesWatch) mark(marks []int, before int) {
	for _, m := range marks {
		if m > s.at && m < before {
			s.at = m
			s.send("BOOKMARK", &EndpointSlice{
				Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1",
				Metadata: ObjectMeta{ResourceVersion: strconv.Itoa(m)},
			})
		}
	}
}

// WatchedSlice is an object as a watch sends it.
func WatchedSlice(s *EndpointSlice, version int) *EndpointSlice {
	f := *s
	f.Kind, f.APIVersion = "EndpointSlice", "discovery.k8s.io/v1"
	f.Metadata.ResourceVersion = strconv.Itoa(version)
	return &f
}
