package api

import (
	"fmt"
	"strings"
	"testing"
)

func (p *SitePreview) String() string {
	var b strings.Builder
	for _, r := range p.Routes {
		fmt.Fprintf(&b, "%s %s (%s) %s | %s\n", r.Object, r.Field, r.Role, r.Why, r.Ahead)
	}
	fmt.Fprintf(&b, "hidden %d", p.Hidden)
	return b.String()
}

const previewedSite = `kind: Site
metadata: {name: www, role: web}
spec:
  hostnames: [www.example.com]
  addresses: [vip1]
  listeners: [{port: 80}]
  backends: {default: web, green: web}
  delegates: [{role: media, path: /media/}]
  routes: %s
`

func TestPreviewOfASite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", fmt.Sprintf(previewedSite, "[]")+
		"---\nkind: Route\nmetadata: {name: films, role: media}\nspec: {site: www, match: {path: {prefix: /media/films/}}, action: {backend: green}}\n"+
		"---\nkind: Route\nmetadata: {name: mine, role: web}\nspec: {site: www, match: {path: {exact: /mine}}, action: {deny: 403}}\n"), 200)
	before := w.everything()
	routes := "[{match: {path: {prefix: /a/}}, backend: green}, {match: {path: {prefix: /a/long/}, method: POST}, action: {deny: 403}}]"
	own := `Route/mine  (web) exact path /mine | exact path
`
	for _, c := range []struct{ who, want string }{
		{"viewer", own + `Site/www routes[1] (web) prefix /a/long/ of 7 bytes, method POST | longer prefix
Site/www routes[0] (web) prefix /a/ of 2 bytes | 
hidden 1`},
		{"auditor", own + `Route/films  (media) prefix /media/films/ of 12 bytes | longer prefix
Site/www routes[1] (web) prefix /a/long/ of 7 bytes, method POST | longer prefix
Site/www routes[0] (web) prefix /a/ of 2 bytes | 
hidden 0`},
	} {
		got := read[SitePreview](t, w.want(w.do(c.who, "POST", "/api/v1/sites/preview", fmt.Sprintf(previewedSite, routes)), 200))
		if got.String() != c.want {
			t.Errorf("%s sees\n%s\nwant\n%s", c.who, &got, c.want)
		}
	}
	if got := read[SitePreview](t, w.want(w.do("owner", "POST", "/api/v1/sites/preview", strings.Replace(fmt.Sprintf(previewedSite, routes), "name: www", "name: new", 1)), 200)); len(got.Routes) != 2 || got.Hidden != 0 {
		t.Errorf("of a site that is not there: %s", &got)
	}
	w.want(w.do("owner", "POST", "/api/v1/sites/preview", strings.Replace(fmt.Sprintf(previewedSite, routes), "role: web", "role: media", 1)), 403)
	w.want(w.do("owner", "POST", "/api/v1/sites/preview", fmt.Sprintf(previewedSite, "[{match: {path: {prefix: /a/}}}]")), 400)
	if w.everything() != before {
		t.Error("a preview left traces")
	}
}
