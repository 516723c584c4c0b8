package compile

import "weir"

// maintenance gives what a site says of it, as far as that is there: without its page a plain one is shown, without its
// list nobody is excepted, without its schedule the site is open.
func (b *builder) maintenance(ref weir.Ref, spec *weir.Site) *weir.SiteMaintenance {
	if spec.Maintenance == nil {
		return nil
	}
	m := *spec.Maintenance
	if m.Schedule != "" && !b.exists("Schedule", m.Schedule) {
		b.problems.add(ref, "spec.maintenance.schedule", "Schedule/%s does not exist; the site is open", m.Schedule)
		return nil
	}
	if m.Page != "" {
		if weir.Find[weir.ErrorPage](b.set, "ErrorPage", m.Page) == nil {
			b.problems.add(ref, "spec.maintenance.page", "ErrorPage/%s does not exist; a plain page is shown", m.Page)
			m.Page = ""
		} else if !b.page(m.Page, ref, m.Status) {
			m.Page = ""
		}
	}
	if m.Except != "" && weir.Find[weir.AccessList](b.set, "AccessList", m.Except) == nil {
		b.problems.add(ref, "spec.maintenance.except", "AccessList/%s does not exist; nobody is excepted", m.Except)
		m.Except = ""
	}
	return &m
}
