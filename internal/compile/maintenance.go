package compile

import "weir"

// maintenance gives what an object says of it in a field, as far as that is there: without its page a plain one is shown,
// without its list nobody is excepted, without its schedule the site, or whatever it is, is open.
func (b *builder) maintenance(ref weir.Ref, path string, of *weir.SiteMaintenance, what string) *weir.SiteMaintenance {
	if of == nil {
		return nil
	}
	m := *of
	if m.Schedule != "" && !b.exists("Schedule", m.Schedule) {
		b.problems.add(ref, path+".schedule", "Schedule/%s does not exist; %s is open", m.Schedule, what)
		return nil
	}
	if m.Page != "" {
		if weir.Find[weir.ErrorPage](b.set, "ErrorPage", m.Page) == nil {
			b.problems.add(ref, path+".page", "ErrorPage/%s does not exist; a plain page is shown", m.Page)
			m.Page = ""
		} else if !b.page(m.Page, ref, m.Status) {
			m.Page = ""
		}
	}
	if m.Except != "" && weir.Find[weir.AccessList](b.set, "AccessList", m.Except) == nil {
		b.problems.add(ref, path+".except", "AccessList/%s does not exist; nobody is excepted", m.Except)
		m.Except = ""
	}
	return &m
}
