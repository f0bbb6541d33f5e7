BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE answers (
	seq INTEGER NOT NULL, 
	id VARCHAR(20) NOT NULL, 
	work_id VARCHAR(20) NOT NULL, 
	run_id VARCHAR(20), 
	stage VARCHAR(20) NOT NULL, 
	lane VARCHAR(20) NOT NULL, 
	number INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	notes TEXT NOT NULL, 
	decision VARCHAR(20) NOT NULL, 
	verdict VARCHAR(20), 
	about_id VARCHAR(20), 
	author VARCHAR(40), 
	made_at DATETIME NOT NULL, 
	CONSTRAINT pk_answers PRIMARY KEY (seq), 
	CONSTRAINT fk_answers_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT fk_answers_work_id FOREIGN KEY(work_id) REFERENCES works (id), 
	CONSTRAINT uq_answers_id UNIQUE (id), 
	CONSTRAINT uq_answers_run_id UNIQUE (run_id)
);
INSERT INTO "answers" VALUES(1,'a-nest','w-palombia',NULL,'critique','content',1,'Houba.','ab','','none','agree',NULL,NULL,'2026-11-03 12:00:00.123456');
CREATE TABLE contexts (
	run_id VARCHAR(20) NOT NULL, 
	system TEXT NOT NULL, 
	prompt TEXT NOT NULL, 
	manifest JSON NOT NULL, 
	made_at DATETIME NOT NULL, 
	CONSTRAINT pk_contexts PRIMARY KEY (run_id), 
	CONSTRAINT fk_contexts_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE TABLE inbox (
	seq INTEGER NOT NULL, 
	"key" VARCHAR(200) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	line VARCHAR(200) NOT NULL, 
	body JSON NOT NULL, 
	received_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	tries INTEGER NOT NULL, 
	handled_at DATETIME, 
	outcome TEXT, 
	CONSTRAINT pk_inbox PRIMARY KEY (seq), 
	CONSTRAINT uq_inbox_key UNIQUE ("key")
);
INSERT INTO "inbox" VALUES(7,'command/spirou','request','houba','{"hop": 1}','2026-11-03 12:00:00.000000','2026-11-03 12:00:00.000000',2,NULL,NULL);
CREATE TABLE ledger (
	seq INTEGER NOT NULL, 
	team VARCHAR(40) NOT NULL, 
	at DATETIME NOT NULL, 
	who VARCHAR(40) NOT NULL, 
	what VARCHAR(40) NOT NULL, 
	work_id VARCHAR(20), 
	run_id VARCHAR(20), 
	answer_id VARCHAR(20), 
	body TEXT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_ledger PRIMARY KEY (seq), 
	CONSTRAINT uq_ledger_hash UNIQUE (hash)
);
INSERT INTO "ledger" VALUES(1,'T0ZOO','2026-11-03 12:00:00.123456','U0ZORGLUB','approve',NULL,NULL,NULL,'{"tail":1}','0000000000000000000000000000000000000000000000000000000000000000','a7c3f03fe195a420a843a94d72390f9678a080bbfc8504a386a3ea4450304542');
INSERT INTO "ledger" VALUES(2,'T0ZOO','2026-11-03 12:00:00.123456','U0ZORGLUB','approve',NULL,NULL,NULL,'{"tail":2}','a7c3f03fe195a420a843a94d72390f9678a080bbfc8504a386a3ea4450304542','b06fbc93838b9beaae7ce75cb6557b2d3f6b26898851d45da15e68c42a611a08');
CREATE TABLE outbox (
	seq INTEGER NOT NULL, 
	slot VARCHAR(120) NOT NULL, 
	work_id VARCHAR(20) NOT NULL, 
	run_id VARCHAR(20), 
	answer_id VARCHAR(20), 
	kind VARCHAR(20) NOT NULL, 
	team VARCHAR(40) NOT NULL, 
	channel VARCHAR(40) NOT NULL, 
	person VARCHAR(40), 
	body JSON NOT NULL, 
	revision INTEGER NOT NULL, 
	shown INTEGER NOT NULL, 
	ts VARCHAR(40), 
	digest VARCHAR(64), 
	given_up TEXT, 
	planned_at DATETIME NOT NULL, 
	sent_at DATETIME, 
	CONSTRAINT pk_outbox PRIMARY KEY (seq), 
	CONSTRAINT fk_outbox_work_id FOREIGN KEY(work_id) REFERENCES works (id), 
	CONSTRAINT uq_outbox_channel_ts UNIQUE (channel, ts), 
	CONSTRAINT uq_outbox_slot UNIQUE (slot)
);
CREATE TABLE reviews (
	answer_id VARCHAR(20) NOT NULL, 
	run_id VARCHAR(20) NOT NULL, 
	work_id VARCHAR(20) NOT NULL, 
	asked_by VARCHAR(40) NOT NULL, 
	authors JSON NOT NULL, 
	opened_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	remind_at DATETIME, 
	reminded INTEGER NOT NULL, 
	handed_on_at DATETIME, 
	reason_wanted_from VARCHAR(40), 
	CONSTRAINT pk_reviews PRIMARY KEY (answer_id), 
	CONSTRAINT fk_reviews_answer_id FOREIGN KEY(answer_id) REFERENCES answers (id), 
	CONSTRAINT fk_reviews_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT fk_reviews_work_id FOREIGN KEY(work_id) REFERENCES works (id)
);
CREATE TABLE runs (
	seq INTEGER NOT NULL, 
	id VARCHAR(20) NOT NULL, 
	work_id VARCHAR(20) NOT NULL, 
	request_key VARCHAR(200) NOT NULL, 
	stage VARCHAR(20) NOT NULL, 
	lane VARCHAR(20) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	asked_by VARCHAR(40) NOT NULL, 
	entrance VARCHAR(20) NOT NULL, 
	note TEXT NOT NULL, 
	note_by JSON NOT NULL, 
	target_id VARCHAR(20), 
	revises BOOLEAN NOT NULL, 
	asked_at DATETIME NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, 
	epoch INTEGER NOT NULL, 
	cancel_by VARCHAR(40), 
	route JSON, 
	model VARCHAR(100), 
	served_id VARCHAR(200), 
	stop_reason VARCHAR(30), 
	attempts INTEGER NOT NULL, 
	input_tokens BIGINT, 
	output_tokens BIGINT, 
	estimated BOOLEAN NOT NULL, 
	cost_usd FLOAT, 
	error_code VARCHAR(60), 
	error TEXT, 
	CONSTRAINT pk_runs PRIMARY KEY (seq), 
	CONSTRAINT fk_runs_work_id FOREIGN KEY(work_id) REFERENCES works (id), 
	CONSTRAINT uq_runs_id UNIQUE (id), 
	CONSTRAINT uq_runs_request_key UNIQUE (request_key)
);
INSERT INTO "runs" VALUES(1,'r-hop','w-palombia','k','draft','content','running','U0SPIROU','command','hop','["U0SPIROU"]',NULL,0,'2026-11-03 12:00:00.000000',NULL,NULL,3,NULL,NULL,NULL,NULL,NULL,1,NULL,NULL,0,0.25,NULL,NULL);
CREATE TABLE verdicts (
	seq INTEGER NOT NULL, 
	answer_id VARCHAR(20) NOT NULL, 
	person VARCHAR(40) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	via VARCHAR(20) NOT NULL, 
	emoji VARCHAR(100), 
	request_key VARCHAR(200) NOT NULL, 
	evidence JSON NOT NULL, 
	at DATETIME NOT NULL, 
	ledger_seq BIGINT NOT NULL, 
	CONSTRAINT pk_verdicts PRIMARY KEY (seq), 
	CONSTRAINT fk_verdicts_answer_id FOREIGN KEY(answer_id) REFERENCES answers (id), 
	CONSTRAINT uq_verdicts_request_key UNIQUE (request_key)
);
CREATE TABLE works (
	id VARCHAR(20) NOT NULL, 
	team VARCHAR(40) NOT NULL, 
	channel VARCHAR(40) NOT NULL, 
	thread_ts VARCHAR(40), 
	brief TEXT NOT NULL, 
	opened_by VARCHAR(40) NOT NULL, 
	opened_at DATETIME NOT NULL, 
	in_human_thread BOOLEAN NOT NULL, 
	CONSTRAINT pk_works PRIMARY KEY (id), 
	CONSTRAINT uq_works_team_channel_thread_ts UNIQUE (team, channel, thread_ts)
);
INSERT INTO "works" VALUES('w-palombia','T0ZOO','C0JUNGLE','1.1','Find the marsupilami ☂','U0SPIROU','2026-11-03 12:00:00.123456',0);
CREATE INDEX ix_inbox_handled_at ON inbox (handled_at);
CREATE INDEX ix_inbox_line ON inbox (line, seq);
CREATE INDEX ix_inbox_open ON inbox (seq) WHERE handled_at IS NULL;
CREATE INDEX ix_outbox_answer ON outbox (answer_id);
CREATE INDEX ix_outbox_owed ON outbox (seq) WHERE shown < revision AND given_up IS NULL;
CREATE INDEX ix_outbox_work ON outbox (work_id, seq);
CREATE INDEX ix_runs_open ON runs (seq) WHERE state IN ('queued', 'running');
CREATE INDEX ix_runs_work ON runs (work_id, seq);
CREATE INDEX ix_answers_work ON answers (work_id, seq);
CREATE INDEX ix_reviews_work ON reviews (work_id);
CREATE INDEX ix_verdicts_answer ON verdicts (answer_id, seq);
COMMIT;
