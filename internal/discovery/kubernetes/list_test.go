package kubernetes

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// TestBadLists is of answers that are no list: nothing of them is taken, and what was told stands.
func TestBadLists(t *testing.T) {
	t.Parallel()
	list := func(version, items string) string {
		return `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"` + version + `"},"items":` + items + `}`
	}
	good, _ := json.Marshal(weirtest.WatchedSlice(one("a", "web", "web-9"), 3))
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   string
	}{
		"empty":                    {write(""), "unexpected end of JSON"},
		"nothing of a list":        {write(`{}`), "not an EndpointSliceList"},
		"another kind":             {write(strings.Replace(list("7", "[]"), "EndpointSliceList", "PodList", 1)), `"PodList"`},
		"an older API":             {write(strings.Replace(list("7", "[]"), "/v1", "/v1beta1", 1)), "v1beta1"},
		"without a version":        {write(list("", "[]")), "not an EndpointSliceList"},
		"without items":            {write(`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"7"}}`), "with its version and items"},
		"items that are none":      {write(list("7", `{"a":1}`)), "cannot unmarshal"},
		"an item without a name":   {write(list("7", `[{"metadata":{"namespace":"shop","resourceVersion":"3"}}]`)), "item 1 is"},
		"twice the same":           {write(list("7", "["+string(good)+","+string(good)+"]")), "shop/a is in the list twice"},
		"half of it":               {write(list("7", "["+string(good))), "invalid character"},
		"more behind it":           {write(list("7", "["+string(good)+"]") + "{}"), "after top-level value"},
		"cut":                      {cutShort(list("7", "["+string(good)+"]")), "unexpected EOF"},
		"of a namespace not asked": {write(list("7", "["+strings.Replace(string(good), `"shop"`, `"bank"`, 1)+"]")), "bank/a of service \"web\", which was not asked for"},
		"a page of HTML":           {html, "text/html"},
		"a redirect":               {redirect, "leads elsewhere"},
		"a long one":               {endless, "more than is taken"},
		"a name with a line":       {write(list("7", `[{"metadata":{"namespace":"shop","name":"a\nb","resourceVersion":"3"}}]`)), `a\nb`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prepare := func(d *double) {
				d.GoneAs = http.StatusGone
				d.Put(one("a", "web", "web-1"))
			}
			watched(t, Config{Namespace: "shop"}, prepare, func(b *bed) {
				b.answer("list", func(w http.ResponseWriter) bool { c.answer(w); return true })
				b.told()
				b.setDown(true)
				b.cut(0)
				b.Put(one("a", "web", "web-2"))
				b.Bookmark()
				b.Compact()
				b.pass(time.Second)
				b.setDown(false)
				b.failed()
				b.pass(2 * time.Minute)
				b.sees("shop/web: web-1=ready")
				if err := b.failed(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "in namespace shop at http://kube.test: ") {
					t.Errorf("failed: %v, which lacks %s", err, c.want)
				}
				if told := b.told(); strings.Contains(told, "part") || strings.Contains(told, "whole") || strings.Contains(told, "alive") {
					t.Errorf("told %s", told)
				}
				b.answer("list", func(http.ResponseWriter) bool { return false })
				b.pass(2 * time.Minute)
				b.sees("shop/web: web-2=ready")
			})
		})
	}
}

func write(text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { _, _ = io.WriteString(w, text) }
}

func cutShort(text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)+10))
		_, _ = io.WriteString(w, text)
	}
}

func html(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<h1>Sign in</h1>")
}

func redirect(w http.ResponseWriter) {
	w.Header().Set("Location", "http://elsewhere.test/")
	w.WriteHeader(http.StatusFound)
}

func endless(w http.ResponseWriter) {
	b := []byte(strings.Repeat(" ", 1<<20))
	for range discovery.MaxAnswer>>20 + 1 {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}
