//! One suite, on both databases: each case runs on SQLite and on a PostgreSQL that
//! the test starts.
//!
//! A test is a resource on a database; within it each case has an empty database of
//! its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on should end"
)]

mod access;
mod audit;
mod bundles;
mod changes;
mod definitions;
mod digest;
mod findings;
mod graph;
mod host_actions;
mod issues;
mod jobs;
mod lab;
mod outputs;
mod paging;
mod playbooks;
mod retention;
mod sensors;

macro_rules! suite {
    ($($resource:ident: $($case:ident),+ $(,)?;)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $resource() {
                let lab = crate::lab::Lab::sqlite();
                $(lab.run(stringify!($case), crate::$resource::$case).await;)+
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $resource() {
                let Some(lab) = crate::lab::Lab::postgres() else { return };
                $(lab.run(stringify!($case), crate::$resource::$case).await;)+
            })+
        }
    };
}

suite! {
    access:
        users_are_found_by_name_id_and_subject,
        a_stale_change_of_a_user_is_a_conflict,
        grants_hold_once_and_can_be_taken_back,
        tokens_speak_for_their_user_until_they_end;
    audit:
        every_change_has_its_entry_and_the_chain_holds,
        a_failed_change_leaves_no_entry,
        entries_written_at_once_form_one_chain,
        entries_are_found_by_actor_and_subject;
    bundles:
        versions_only_go_up,
        of_two_publishers_one_comes_second,
        one_rollout_at_a_time_in_a_scope,
        rollouts_go_only_where_they_may,
        a_superseded_rollout_is_over;
    playbooks:
        a_run_goes_on_where_it_was,
        too_many_runs_of_an_hour_are_one_row,
        a_run_that_is_ended_skips_the_rest;
    host_actions:
        an_order_is_given_once_and_answered_by_its_sensor,
        what_is_not_answered_ends_and_old_ones_go;
    changes:
        a_change_is_told_to_every_replica,
        a_failed_change_is_not_told;
    definitions:
        a_definition_keeps_all_its_versions,
        of_two_writers_one_gets_a_conflict,
        the_life_cycle_has_its_steps,
        names_are_unique_until_deleted,
        filters_and_pages,
        what_is_too_long_is_refused;
    digest:
        findings_of_a_fingerprint_are_one_issue,
        two_replicas_count_each_finding_once,
        a_digester_that_panics_skips_its_finding_alone,
        a_finding_that_cannot_be_stored_holds_up_no_other,
        what_retention_deletes_is_not_digested,
        jobs_are_added_with_what_they_are_for;
    findings:
        a_second_delivery_stores_nothing,
        deliveries_at_once_store_each_finding_once,
        sensors_do_not_share_ids,
        bad_findings_do_not_hold_up_the_others,
        each_filter_filters,
        followers_see_findings_in_the_order_of_their_storing,
        no_project_is_nothing;
    graph:
        sightings_add_up,
        writers_at_once_lose_nothing,
        neighbours_are_filtered,
        a_window_over_a_hub_is_read_in_bounded_steps,
        nodes_are_searched_by_their_names,
        rights_hold_on_every_hop,
        a_hub_is_cut_and_said_so,
        walks_keep_to_what_they_are_told,
        findings_are_nodes_that_are_not_stored,
        what_was_not_seen_for_long_is_deleted,
        the_store_answers_as_the_model;
    issues:
        what_comes_back_is_reopened,
        what_was_rejected_is_counted_alone,
        people_change_what_they_have_read,
        notes_are_added_and_stay,
        issues_are_found_by_each_filter,
        an_issue_is_opened_by_hand_once,
        closed_issues_go_after_a_while;
    jobs:
        eight_takers_do_each_job_once,
        a_lost_lease_is_taken_again,
        failures_wait_longer_and_end,
        a_key_keeps_a_second_job_out;
    outputs:
        each_output_has_a_queue_of_its_own,
        a_finding_that_was_deleted_first_is_told_from_one_that_was_told,
        one_replica_at_a_time_holds_an_output;
    paging:
        pages_equal_filtering_in_memory;
    retention:
        by_age_in_bounded_steps,
        by_count_and_by_bytes,
        two_at_once_do_not_delete_too_much;
    sensors:
        a_token_labels_and_lets_in,
        the_last_use_is_given_once,
        a_refused_sensor_costs_no_use,
        certificates_overlap_and_are_revoked,
        heartbeats_do_not_go_back,
        rule_states_are_replaced,
        sensors_are_listed_by_filter;
}
