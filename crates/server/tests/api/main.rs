//! The API from outside, over real HTTP: on SQLite, and on a PostgreSQL that the test
//! starts. Each case has a server and a database of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on should end"
)]

mod backups;
mod client;
mod evidence;
mod exceptions;
mod exports;
mod files;
mod filters;
mod findings;
mod flood;
mod fuzz;
mod graph;
mod host_actions;
mod issues;
mod lab;
mod oidc;
mod openapi;
mod outputs;
mod playbooks;
mod receiver;
mod rights;
mod rules;
mod safety;
mod sessions;
mod sso;
mod workbench;
mod world;

macro_rules! suite {
    ($($subject:ident: $($case:ident),+ $(,)?;)+) => {
        mod sqlite {
            $(#[test]
            fn $subject() {
                let labs = crate::lab::Labs::sqlite();
                $(labs.run(stringify!($case), crate::$subject::$case);)+
            })+
        }

        mod postgres {
            $(#[test]
            fn $subject() {
                let Some(labs) = crate::lab::Labs::postgres() else { return };
                $(labs.run(stringify!($case), crate::$subject::$case);)+
            })+
        }
    };
}

suite! {
    rights:
        every_endpoint_asks_for_its_right;
    rules:
        a_rule_goes_through_its_life,
        errors_come_back_with_their_places,
        a_stale_change_is_refused,
        of_two_writers_at_once_one_wins,
        what_is_armed_is_for_those_who_may_arm,
        a_list_in_use_stays,
        projects_bound_their_members,
        versions_and_diffs;
    sessions:
        logging_in_and_out,
        guessing_is_slowed_down,
        a_new_password_ends_log_ins,
        tokens_end_when_they_are_revoked,
        an_administrator_cannot_lock_themselves_out;
    workbench:
        a_draft_is_checked_and_its_tests_are_run,
        a_draft_is_tried_on_what_has_happened,
        a_finding_is_explained_by_its_rule;
    filters:
        filters_are_ones_own_or_shared;
    findings:
        every_filter_filters,
        findings_are_found_by_any_field_of_their_events,
        pages_follow_each_other,
        live_ones_come_as_they_are_stored,
        a_stream_ends_with_its_token,
        projects_hide_findings;
    exports:
        an_export_is_all_that_the_filters_find,
        issues_are_exported_as_they_are_listed,
        an_export_holds_no_more_than_one_may_see,
        an_export_is_read_as_it_is_taken;
    evidence:
        what_would_have_been_killed_is_shown,
        nothing_is_armed_without_evidence,
        evidence_shows_no_more_than_one_may_see;
    issues:
        an_attack_is_one_issue_that_people_work_on,
        issues_are_sorted_by_labels,
        issues_are_found_by_each_filter,
        projects_hide_issues,
        a_change_is_told_live,
        it_comes_back_by_itself;
    graph:
        findings_and_issues_stand_in_the_graph,
        projects_hide_nodes_and_paths;
    exceptions:
        a_preview_is_what_an_exception_then_hides,
        a_rule_that_floods_is_told_with_what_would_quiet_it,
        exceptions_are_proposed_bound_and_owned;
    host_actions:
        orders_are_checked_given_and_seen_by_those_who_may;
    playbooks:
        what_cannot_run_is_refused_by_field;
    files:
        a_folder_is_applied_once,
        what_is_wrong_is_applied_not_at_all,
        pruning_takes_out_what_is_gone,
        what_is_exported_is_what_stands;
    safety:
        every_change_is_in_the_audit_log,
        answers_say_little_to_strangers,
        too_much_is_refused,
        a_server_that_stops_lets_requests_end;
    fuzz:
        odd_bodies_never_break_it;
}
