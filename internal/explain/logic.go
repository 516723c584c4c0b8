package explain

import "strings"

// logic tells which Logics are asked about the request. What they do is HAProxy's to work out.
func (w *walk) logic() {
	asked := w.node.SiteLogic(w.site.Name)
	for _, name := range asked {
		w.step("logic", "Logic/"+name, "text", "is asked about the request and its answer")
	}
	var pools []string
	seen := map[string]bool{}
	if b := w.backend(w.trace.Answer.Backend); b != nil {
		for _, pool := range append(append([]string{}, b.Slots...), b.Pool) {
			for _, name := range w.node.PoolLogic(pool) {
				if !seen[pool+"/"+name] {
					seen[pool+"/"+name] = true
					w.step("logic", "Logic/"+name, "text", "is asked about what Pool/%s serves", pool)
					pools = append(pools, name)
				}
			}
		}
	}
	if all := append(asked, pools...); len(all) > 0 {
		w.unsure("what Logic/%s does: it may answer by itself, change the request, or send it to another backend", strings.Join(all, ", Logic/"))
	}
}
