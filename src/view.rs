//! PlanView and ReportView, built once from the frozen plan; the only user of `similar`.
