// Written by scripts/protos.mjs from protos/. Not to be edited.

/** Number, name in the proto, type (of key and value), label: `` (absent means the default), `repeated`, `map`, or a oneof. */
export type FieldRow = readonly [number, string, string, string]

export const MESSAGES: Readonly<Record<string, readonly FieldRow[]>> = {
  "PushRequest": [[1,"features","string string","map"],[2,"stream_feature_view","string",""],[3,"allow_registry_cache","bool",""],[4,"to","string",""],[5,"typed_features","string bytes","map"]],
  "PushResponse": [[1,"status","bool",""]],
  "WriteToOnlineStoreRequest": [[1,"features","string string","map"],[2,"feature_view_name","string",""],[3,"allow_registry_cache","bool",""],[4,"typed_features","string bytes","map"]],
  "WriteToOnlineStoreResponse": [[1,"status","bool",""]],
  "feast.core.Aggregation": [[1,"column","string",""],[2,"function","string",""],[3,"time_window","google.protobuf.Duration",""],[4,"slide_interval","google.protobuf.Duration",""],[5,"name","string",""]],
  "feast.core.CombinedGroupNamespacePolicy": [[1,"groups","string","repeated"],[2,"namespaces","string","repeated"]],
  "feast.core.DataSource": [[1,"type","feast.core.DataSource.SourceType",""],[2,"field_mapping","string string","map"],[3,"timestamp_field","string",""],[4,"date_partition_column","string",""],[5,"created_timestamp_column","string",""],[11,"file_options","feast.core.DataSource.FileOptions","oneof options"],[12,"bigquery_options","feast.core.DataSource.BigQueryOptions","oneof options"],[13,"kafka_options","feast.core.DataSource.KafkaOptions","oneof options"],[14,"kinesis_options","feast.core.DataSource.KinesisOptions","oneof options"],[15,"redshift_options","feast.core.DataSource.RedshiftOptions","oneof options"],[16,"custom_options","feast.core.DataSource.CustomSourceOptions","oneof options"],[17,"data_source_class_type","string",""],[18,"request_data_options","feast.core.DataSource.RequestDataOptions","oneof options"],[19,"snowflake_options","feast.core.DataSource.SnowflakeOptions","oneof options"],[20,"name","string",""],[21,"project","string",""],[22,"push_options","feast.core.DataSource.PushOptions","oneof options"],[23,"description","string",""],[24,"tags","string string","map"],[25,"owner","string",""],[26,"batch_source","feast.core.DataSource",""],[27,"spark_options","feast.core.DataSource.SparkOptions","oneof options"],[28,"timestamp_field_type","string",""],[30,"trino_options","feast.core.DataSource.TrinoOptions","oneof options"],[35,"athena_options","feast.core.DataSource.AthenaOptions","oneof options"],[50,"meta","feast.core.DataSource.SourceMeta",""]],
  "feast.core.DataSource.AthenaOptions": [[1,"table","string",""],[2,"query","string",""],[3,"database","string",""],[4,"data_source","string",""]],
  "feast.core.DataSource.BigQueryOptions": [[1,"table","string",""],[2,"query","string",""]],
  "feast.core.DataSource.CustomSourceOptions": [[1,"configuration","bytes",""]],
  "feast.core.DataSource.FileOptions": [[1,"file_format","feast.core.FileFormat",""],[2,"uri","string",""],[3,"s3_endpoint_override","string",""]],
  "feast.core.DataSource.KafkaOptions": [[1,"kafka_bootstrap_servers","string",""],[2,"topic","string",""],[3,"message_format","feast.core.StreamFormat",""],[4,"watermark_delay_threshold","google.protobuf.Duration",""]],
  "feast.core.DataSource.KinesisOptions": [[1,"region","string",""],[2,"stream_name","string",""],[3,"record_format","feast.core.StreamFormat",""]],
  "feast.core.DataSource.PushOptions": [],
  "feast.core.DataSource.RedshiftOptions": [[1,"table","string",""],[2,"query","string",""],[3,"schema","string",""],[4,"database","string",""]],
  "feast.core.DataSource.RequestDataOptions": [[2,"deprecated_schema","string feast.types.ValueType.Enum","map"],[3,"schema","feast.core.FeatureSpecV2","repeated"]],
  "feast.core.DataSource.SnowflakeOptions": [[1,"table","string",""],[2,"query","string",""],[3,"schema","string",""],[4,"database","string",""]],
  "feast.core.DataSource.SourceMeta": [[1,"earliestEventTimestamp","google.protobuf.Timestamp",""],[2,"latestEventTimestamp","google.protobuf.Timestamp",""],[3,"created_timestamp","google.protobuf.Timestamp",""],[4,"last_updated_timestamp","google.protobuf.Timestamp",""]],
  "feast.core.DataSource.SparkOptions": [[1,"table","string",""],[2,"query","string",""],[3,"path","string",""],[4,"file_format","string",""],[5,"date_partition_column_format","string",""],[6,"table_format","feast.core.TableFormat",""]],
  "feast.core.DataSource.TrinoOptions": [[1,"table","string",""],[2,"query","string",""]],
  "feast.core.DatastoreTable": [[1,"project","string",""],[2,"name","string",""],[3,"project_id","google.protobuf.StringValue",""],[4,"namespace","google.protobuf.StringValue",""],[5,"database","google.protobuf.StringValue",""]],
  "feast.core.Entity": [[1,"spec","feast.core.EntitySpecV2",""],[2,"meta","feast.core.EntityMeta",""]],
  "feast.core.EntityMeta": [[1,"created_timestamp","google.protobuf.Timestamp",""],[2,"last_updated_timestamp","google.protobuf.Timestamp",""]],
  "feast.core.EntitySpecV2": [[1,"name","string",""],[2,"value_type","feast.types.ValueType.Enum",""],[3,"description","string",""],[4,"join_key","string",""],[8,"tags","string string","map"],[9,"project","string",""],[10,"owner","string",""]],
  "feast.core.FeatureService": [[1,"spec","feast.core.FeatureServiceSpec",""],[2,"meta","feast.core.FeatureServiceMeta",""]],
  "feast.core.FeatureServiceMeta": [[1,"created_timestamp","google.protobuf.Timestamp",""],[2,"last_updated_timestamp","google.protobuf.Timestamp",""]],
  "feast.core.FeatureServiceSpec": [[1,"name","string",""],[2,"project","string",""],[3,"features","feast.core.FeatureViewProjection","repeated"],[4,"tags","string string","map"],[5,"description","string",""],[6,"owner","string",""],[7,"logging_config","feast.core.LoggingConfig",""],[8,"precompute_online","bool",""]],
  "feast.core.FeatureSpecV2": [[1,"name","string",""],[2,"value_type","feast.types.ValueType.Enum",""],[3,"tags","string string","map"],[4,"description","string",""],[5,"vector_index","bool",""],[6,"vector_search_metric","string",""],[7,"vector_length","int32",""]],
  "feast.core.FeatureTable": [[1,"spec","feast.core.FeatureTableSpec",""],[2,"meta","feast.core.FeatureTableMeta",""]],
  "feast.core.FeatureTableMeta": [[1,"created_timestamp","google.protobuf.Timestamp",""],[2,"last_updated_timestamp","google.protobuf.Timestamp",""],[3,"revision","int64",""],[4,"hash","string",""]],
  "feast.core.FeatureTableSpec": [[1,"name","string",""],[3,"entities","string","repeated"],[4,"features","feast.core.FeatureSpecV2","repeated"],[5,"labels","string string","map"],[6,"max_age","google.protobuf.Duration",""],[7,"batch_source","feast.core.DataSource",""],[8,"stream_source","feast.core.DataSource",""],[9,"project","string",""]],
  "feast.core.FeatureTransformationV2": [[1,"user_defined_function","feast.core.UserDefinedFunctionV2","oneof transformation"],[2,"substrait_transformation","feast.core.SubstraitTransformationV2","oneof transformation"]],
  "feast.core.FeatureView": [[1,"spec","feast.core.FeatureViewSpec",""],[2,"meta","feast.core.FeatureViewMeta",""]],
  "feast.core.FeatureViewMeta": [[1,"created_timestamp","google.protobuf.Timestamp",""],[2,"last_updated_timestamp","google.protobuf.Timestamp",""],[3,"materialization_intervals","feast.core.MaterializationInterval","repeated"],[4,"current_version_number","int32",""],[5,"version_id","string",""],[6,"state","feast.core.FeatureViewState",""]],
  "feast.core.FeatureViewProjection": [[1,"feature_view_name","string",""],[2,"feature_columns","feast.core.FeatureSpecV2","repeated"],[3,"feature_view_name_alias","string",""],[4,"join_key_map","string string","map"],[5,"timestamp_field","string",""],[6,"date_partition_column","string",""],[7,"created_timestamp_column","string",""],[8,"batch_source","feast.core.DataSource",""],[9,"stream_source","feast.core.DataSource",""],[10,"version_tag","int32","oneof _version_tag"],[11,"view_type","string",""]],
  "feast.core.FeatureViewSpec": [[1,"name","string",""],[2,"project","string",""],[3,"entities","string","repeated"],[4,"features","feast.core.FeatureSpecV2","repeated"],[5,"tags","string string","map"],[6,"ttl","google.protobuf.Duration",""],[7,"batch_source","feast.core.DataSource",""],[8,"online","bool",""],[9,"stream_source","feast.core.DataSource",""],[10,"description","string",""],[11,"owner","string",""],[12,"entity_columns","feast.core.FeatureSpecV2","repeated"],[13,"offline","bool",""],[14,"source_views","feast.core.FeatureViewSpec","repeated"],[15,"feature_transformation","feast.core.FeatureTransformationV2",""],[16,"mode","string",""],[17,"enable_validation","bool",""],[18,"version","string",""],[19,"org","string",""],[20,"disabled","bool",""]],
  "feast.core.FeatureViewVersionHistory": [[1,"records","feast.core.FeatureViewVersionRecord","repeated"]],
  "feast.core.FeatureViewVersionRecord": [[1,"feature_view_name","string",""],[2,"project_id","string",""],[3,"version_number","int32",""],[4,"feature_view_type","string",""],[5,"feature_view_proto","bytes",""],[6,"created_timestamp","google.protobuf.Timestamp",""],[7,"description","string",""],[8,"version_id","string",""]],
  "feast.core.FileFormat": [[1,"parquet_format","feast.core.FileFormat.ParquetFormat","oneof format"],[2,"delta_format","feast.core.TableFormat.DeltaFormat","oneof format"]],
  "feast.core.FileFormat.ParquetFormat": [],
  "feast.core.GEValidationProfile": [[1,"expectation_suite","bytes",""]],
  "feast.core.GEValidationProfiler": [[1,"profiler","feast.core.GEValidationProfiler.UserDefinedProfiler",""]],
  "feast.core.GEValidationProfiler.UserDefinedProfiler": [[1,"body","bytes",""]],
  "feast.core.GroupBasedPolicy": [[1,"groups","string","repeated"]],
  "feast.core.Infra": [[1,"infra_objects","feast.core.InfraObject","repeated"]],
  "feast.core.InfraObject": [[1,"infra_object_class_type","string",""],[3,"datastore_table","feast.core.DatastoreTable","oneof infra_object"],[4,"sqlite_table","feast.core.SqliteTable","oneof infra_object"],[100,"custom_infra","feast.core.InfraObject.CustomInfra","oneof infra_object"]],
  "feast.core.InfraObject.CustomInfra": [[1,"field","bytes",""]],
  "feast.core.LabelView": [[1,"spec","feast.core.LabelViewSpec",""],[2,"meta","feast.core.LabelViewMeta",""]],
  "feast.core.LabelViewMeta": [[1,"created_timestamp","google.protobuf.Timestamp",""],[2,"last_updated_timestamp","google.protobuf.Timestamp",""]],
  "feast.core.LabelViewSpec": [[1,"name","string",""],[2,"project","string",""],[3,"entities","string","repeated"],[4,"features","feast.core.FeatureSpecV2","repeated"],[5,"tags","string string","map"],[6,"ttl","google.protobuf.Duration",""],[7,"source","feast.core.DataSource",""],[8,"online","bool",""],[9,"description","string",""],[10,"owner","string",""],[11,"entity_columns","feast.core.FeatureSpecV2","repeated"],[12,"labeler_field","string",""],[13,"conflict_policy","feast.core.ConflictResolutionPolicy",""],[14,"retain_history","bool",""],[15,"reference_feature_view","string",""]],
  "feast.core.LoggingConfig": [[1,"sample_rate","float",""],[3,"file_destination","feast.core.LoggingConfig.FileDestination","oneof destination"],[4,"bigquery_destination","feast.core.LoggingConfig.BigQueryDestination","oneof destination"],[5,"redshift_destination","feast.core.LoggingConfig.RedshiftDestination","oneof destination"],[6,"snowflake_destination","feast.core.LoggingConfig.SnowflakeDestination","oneof destination"],[7,"custom_destination","feast.core.LoggingConfig.CustomDestination","oneof destination"],[8,"athena_destination","feast.core.LoggingConfig.AthenaDestination","oneof destination"],[9,"couchbase_columnar_destination","feast.core.LoggingConfig.CouchbaseColumnarDestination","oneof destination"]],
  "feast.core.LoggingConfig.AthenaDestination": [[1,"table_name","string",""]],
  "feast.core.LoggingConfig.BigQueryDestination": [[1,"table_ref","string",""]],
  "feast.core.LoggingConfig.CouchbaseColumnarDestination": [[1,"database","string",""],[2,"scope","string",""],[3,"collection","string",""]],
  "feast.core.LoggingConfig.CustomDestination": [[1,"kind","string",""],[2,"config","string string","map"]],
  "feast.core.LoggingConfig.FileDestination": [[1,"path","string",""],[2,"s3_endpoint_override","string",""],[3,"partition_by","string","repeated"]],
  "feast.core.LoggingConfig.RedshiftDestination": [[1,"table_name","string",""]],
  "feast.core.LoggingConfig.SnowflakeDestination": [[1,"table_name","string",""]],
  "feast.core.MaterializationInterval": [[1,"start_time","google.protobuf.Timestamp",""],[2,"end_time","google.protobuf.Timestamp",""]],
  "feast.core.NamespaceBasedPolicy": [[1,"namespaces","string","repeated"]],
  "feast.core.OnDemandFeatureView": [[1,"spec","feast.core.OnDemandFeatureViewSpec",""],[2,"meta","feast.core.OnDemandFeatureViewMeta",""]],
  "feast.core.OnDemandFeatureViewMeta": [[1,"created_timestamp","google.protobuf.Timestamp",""],[2,"last_updated_timestamp","google.protobuf.Timestamp",""],[3,"current_version_number","int32",""],[4,"version_id","string",""],[5,"state","feast.core.FeatureViewState",""]],
  "feast.core.OnDemandFeatureViewSpec": [[1,"name","string",""],[2,"project","string",""],[3,"features","feast.core.FeatureSpecV2","repeated"],[4,"sources","string feast.core.OnDemandSource","map"],[5,"user_defined_function","feast.core.UserDefinedFunction",""],[6,"description","string",""],[7,"tags","string string","map"],[8,"owner","string",""],[10,"feature_transformation","feast.core.FeatureTransformationV2",""],[11,"mode","string",""],[12,"write_to_online_store","bool",""],[13,"entities","string","repeated"],[14,"entity_columns","feast.core.FeatureSpecV2","repeated"],[15,"singleton","bool",""],[16,"aggregations","feast.core.Aggregation","repeated"],[17,"version","string",""],[18,"org","string",""],[19,"disabled","bool",""]],
  "feast.core.OnDemandSource": [[1,"feature_view","feast.core.FeatureView","oneof source"],[2,"request_data_source","feast.core.DataSource","oneof source"],[3,"feature_view_projection","feast.core.FeatureViewProjection","oneof source"]],
  "feast.core.Permission": [[1,"spec","feast.core.PermissionSpec",""],[2,"meta","feast.core.PermissionMeta",""]],
  "feast.core.PermissionMeta": [[1,"created_timestamp","google.protobuf.Timestamp",""],[2,"last_updated_timestamp","google.protobuf.Timestamp",""]],
  "feast.core.PermissionSpec": [[1,"name","string",""],[2,"project","string",""],[3,"types","feast.core.PermissionSpec.Type","repeated"],[4,"name_patterns","string","repeated"],[5,"required_tags","string string","map"],[6,"actions","feast.core.PermissionSpec.AuthzedAction","repeated"],[7,"policy","feast.core.Policy",""],[8,"tags","string string","map"]],
  "feast.core.Policy": [[1,"name","string",""],[2,"project","string",""],[3,"role_based_policy","feast.core.RoleBasedPolicy","oneof policy_type"],[4,"group_based_policy","feast.core.GroupBasedPolicy","oneof policy_type"],[5,"namespace_based_policy","feast.core.NamespaceBasedPolicy","oneof policy_type"],[6,"combined_group_namespace_policy","feast.core.CombinedGroupNamespacePolicy","oneof policy_type"]],
  "feast.core.Project": [[1,"spec","feast.core.ProjectSpec",""],[2,"meta","feast.core.ProjectMeta",""]],
  "feast.core.ProjectMeta": [[1,"created_timestamp","google.protobuf.Timestamp",""],[2,"last_updated_timestamp","google.protobuf.Timestamp",""]],
  "feast.core.ProjectMetadata": [[1,"project","string",""],[2,"project_uuid","string",""]],
  "feast.core.ProjectSpec": [[1,"name","string",""],[2,"description","string",""],[3,"tags","string string","map"],[4,"owner","string",""]],
  "feast.core.Registry": [[1,"entities","feast.core.Entity","repeated"],[2,"feature_tables","feast.core.FeatureTable","repeated"],[3,"registry_schema_version","string",""],[4,"version_id","string",""],[5,"last_updated","google.protobuf.Timestamp",""],[6,"feature_views","feast.core.FeatureView","repeated"],[7,"feature_services","feast.core.FeatureService","repeated"],[8,"on_demand_feature_views","feast.core.OnDemandFeatureView","repeated"],[10,"infra","feast.core.Infra",""],[11,"saved_datasets","feast.core.SavedDataset","repeated"],[12,"data_sources","feast.core.DataSource","repeated"],[13,"validation_references","feast.core.ValidationReference","repeated"],[14,"stream_feature_views","feast.core.StreamFeatureView","repeated"],[15,"project_metadata","feast.core.ProjectMetadata","repeated"],[16,"permissions","feast.core.Permission","repeated"],[17,"projects","feast.core.Project","repeated"],[18,"feature_view_version_history","feast.core.FeatureViewVersionHistory",""],[19,"label_views","feast.core.LabelView","repeated"]],
  "feast.core.RoleBasedPolicy": [[1,"roles","string","repeated"]],
  "feast.core.SavedDataset": [[1,"spec","feast.core.SavedDatasetSpec",""],[2,"meta","feast.core.SavedDatasetMeta",""]],
  "feast.core.SavedDatasetMeta": [[1,"created_timestamp","google.protobuf.Timestamp",""],[2,"last_updated_timestamp","google.protobuf.Timestamp",""],[3,"min_event_timestamp","google.protobuf.Timestamp",""],[4,"max_event_timestamp","google.protobuf.Timestamp",""]],
  "feast.core.SavedDatasetSpec": [[1,"name","string",""],[2,"project","string",""],[3,"features","string","repeated"],[4,"join_keys","string","repeated"],[5,"full_feature_names","bool",""],[6,"storage","feast.core.SavedDatasetStorage",""],[7,"tags","string string","map"],[8,"feature_service_name","string",""],[9,"namespace","string",""],[10,"collection","string",""],[11,"description","string",""]],
  "feast.core.SavedDatasetStorage": [[4,"file_storage","feast.core.DataSource.FileOptions","oneof kind"],[5,"bigquery_storage","feast.core.DataSource.BigQueryOptions","oneof kind"],[6,"redshift_storage","feast.core.DataSource.RedshiftOptions","oneof kind"],[7,"snowflake_storage","feast.core.DataSource.SnowflakeOptions","oneof kind"],[8,"trino_storage","feast.core.DataSource.TrinoOptions","oneof kind"],[9,"spark_storage","feast.core.DataSource.SparkOptions","oneof kind"],[10,"custom_storage","feast.core.DataSource.CustomSourceOptions","oneof kind"],[11,"athena_storage","feast.core.DataSource.AthenaOptions","oneof kind"]],
  "feast.core.SqliteTable": [[1,"path","string",""],[2,"name","string",""]],
  "feast.core.StreamFeatureView": [[1,"spec","feast.core.StreamFeatureViewSpec",""],[2,"meta","feast.core.FeatureViewMeta",""]],
  "feast.core.StreamFeatureViewSpec": [[1,"name","string",""],[2,"project","string",""],[3,"entities","string","repeated"],[4,"features","feast.core.FeatureSpecV2","repeated"],[5,"entity_columns","feast.core.FeatureSpecV2","repeated"],[6,"description","string",""],[7,"tags","string string","map"],[8,"owner","string",""],[9,"ttl","google.protobuf.Duration",""],[10,"batch_source","feast.core.DataSource",""],[11,"stream_source","feast.core.DataSource",""],[12,"online","bool",""],[13,"user_defined_function","feast.core.UserDefinedFunction",""],[14,"mode","string",""],[15,"aggregations","feast.core.Aggregation","repeated"],[16,"timestamp_field","string",""],[17,"feature_transformation","feast.core.FeatureTransformationV2",""],[18,"enable_tiling","bool",""],[19,"tiling_hop_size","google.protobuf.Duration",""],[20,"enable_validation","bool",""],[21,"version","string",""],[22,"org","string",""],[23,"disabled","bool",""]],
  "feast.core.StreamFormat": [[1,"avro_format","feast.core.StreamFormat.AvroFormat","oneof format"],[2,"proto_format","feast.core.StreamFormat.ProtoFormat","oneof format"],[3,"json_format","feast.core.StreamFormat.JsonFormat","oneof format"]],
  "feast.core.StreamFormat.AvroFormat": [[1,"schema_json","string",""]],
  "feast.core.StreamFormat.JsonFormat": [[1,"schema_json","string",""]],
  "feast.core.StreamFormat.ProtoFormat": [[1,"class_path","string",""]],
  "feast.core.SubstraitTransformationV2": [[1,"substrait_plan","bytes",""],[2,"ibis_function","bytes",""]],
  "feast.core.TableFormat": [[1,"iceberg_format","feast.core.TableFormat.IcebergFormat","oneof format"],[2,"delta_format","feast.core.TableFormat.DeltaFormat","oneof format"],[3,"hudi_format","feast.core.TableFormat.HudiFormat","oneof format"]],
  "feast.core.TableFormat.DeltaFormat": [[1,"checkpoint_location","string",""],[2,"properties","string string","map"]],
  "feast.core.TableFormat.HudiFormat": [[1,"table_type","string",""],[2,"record_key","string",""],[3,"precombine_field","string",""],[4,"properties","string string","map"]],
  "feast.core.TableFormat.IcebergFormat": [[1,"catalog","string",""],[2,"namespace","string",""],[3,"properties","string string","map"]],
  "feast.core.UserDefinedFunction": [[1,"name","string",""],[2,"body","bytes",""],[3,"body_text","string",""]],
  "feast.core.UserDefinedFunctionV2": [[1,"name","string",""],[2,"body","bytes",""],[3,"body_text","string",""],[4,"mode","string",""]],
  "feast.core.ValidationReference": [[1,"name","string",""],[2,"reference_dataset_name","string",""],[3,"project","string",""],[4,"description","string",""],[5,"tags","string string","map"],[6,"ge_profiler","feast.core.GEValidationProfiler","oneof profiler"],[7,"ge_profile","feast.core.GEValidationProfile","oneof cached_profile"]],
  "feast.serving.FeatureList": [[1,"val","string","repeated"]],
  "feast.serving.FeatureViewMetadata": [[1,"name","string",""],[2,"version","int32",""]],
  "feast.serving.GetFeastServingInfoResponse": [[1,"version","string",""]],
  "feast.serving.GetOnlineFeaturesResponseMetadata": [[1,"feature_names","feast.serving.FeatureList",""],[2,"feature_view_metadata","feast.serving.FeatureViewMetadata","repeated"]],
  "google.protobuf.Duration": [[1,"seconds","int64",""],[2,"nanos","int32",""]],
  "google.protobuf.StringValue": [[1,"value","string",""]],
  "google.protobuf.Timestamp": [[1,"seconds","int64",""],[2,"nanos","int32",""]],
  "grpc.health.v1.HealthCheckRequest": [[1,"service","string",""]],
  "grpc.health.v1.HealthCheckResponse": [[1,"status","grpc.health.v1.HealthCheckResponse.ServingStatus",""]],
  "grpc.health.v1.HealthListResponse": [[1,"statuses","string grpc.health.v1.HealthCheckResponse","map"]],
  "grpc.reflection.v1.ErrorResponse": [[1,"error_code","int32",""],[2,"error_message","string",""]],
  "grpc.reflection.v1.ExtensionNumberResponse": [[1,"base_type_name","string",""],[2,"extension_number","int32","repeated"]],
  "grpc.reflection.v1.ExtensionRequest": [[1,"containing_type","string",""],[2,"extension_number","int32",""]],
  "grpc.reflection.v1.FileDescriptorResponse": [[1,"file_descriptor_proto","bytes","repeated"]],
  "grpc.reflection.v1.ListServiceResponse": [[1,"service","grpc.reflection.v1.ServiceResponse","repeated"]],
  "grpc.reflection.v1.ServerReflectionRequest": [[1,"host","string",""],[3,"file_by_filename","string","oneof message_request"],[4,"file_containing_symbol","string","oneof message_request"],[5,"file_containing_extension","grpc.reflection.v1.ExtensionRequest","oneof message_request"],[6,"all_extension_numbers_of_type","string","oneof message_request"],[7,"list_services","string","oneof message_request"]],
  "grpc.reflection.v1.ServerReflectionResponse": [[1,"valid_host","string",""],[2,"original_request","grpc.reflection.v1.ServerReflectionRequest",""],[4,"file_descriptor_response","grpc.reflection.v1.FileDescriptorResponse","oneof message_response"],[5,"all_extension_numbers_response","grpc.reflection.v1.ExtensionNumberResponse","oneof message_response"],[6,"list_services_response","grpc.reflection.v1.ListServiceResponse","oneof message_response"],[7,"error_response","grpc.reflection.v1.ErrorResponse","oneof message_response"]],
  "grpc.reflection.v1.ServiceResponse": [[1,"name","string",""]],
  "inference.InferParameter": [[1,"bool_param","bool","oneof parameter_choice"],[2,"int64_param","int64","oneof parameter_choice"],[3,"string_param","string","oneof parameter_choice"],[4,"double_param","double","oneof parameter_choice"],[5,"uint64_param","uint64","oneof parameter_choice"]],
  "inference.InferTensorContents": [[1,"bool_contents","bool","repeated"],[2,"int_contents","int32","repeated"],[3,"int64_contents","int64","repeated"],[4,"uint_contents","uint32","repeated"],[5,"uint64_contents","uint64","repeated"],[6,"fp32_contents","float","repeated"],[7,"fp64_contents","double","repeated"],[8,"bytes_contents","bytes","repeated"]],
  "inference.ModelInferRequest": [[1,"model_name","string",""],[2,"model_version","string",""],[3,"id","string",""],[4,"parameters","string inference.InferParameter","map"],[5,"inputs","inference.ModelInferRequest.InferInputTensor","repeated"],[6,"outputs","inference.ModelInferRequest.InferRequestedOutputTensor","repeated"],[7,"raw_input_contents","bytes","repeated"]],
  "inference.ModelInferRequest.InferInputTensor": [[1,"name","string",""],[2,"datatype","string",""],[3,"shape","int64","repeated"],[4,"parameters","string inference.InferParameter","map"],[5,"contents","inference.InferTensorContents",""]],
  "inference.ModelInferRequest.InferRequestedOutputTensor": [[1,"name","string",""],[2,"parameters","string inference.InferParameter","map"]],
  "inference.ModelInferResponse": [[1,"model_name","string",""],[2,"model_version","string",""],[3,"id","string",""],[4,"parameters","string inference.InferParameter","map"],[5,"outputs","inference.ModelInferResponse.InferOutputTensor","repeated"],[6,"raw_output_contents","bytes","repeated"]],
  "inference.ModelInferResponse.InferOutputTensor": [[1,"name","string",""],[2,"datatype","string",""],[3,"shape","int64","repeated"],[4,"parameters","string inference.InferParameter","map"],[5,"contents","inference.InferTensorContents",""]],
  "inference.ModelMetadataRequest": [[1,"name","string",""],[2,"version","string",""]],
  "inference.ModelMetadataResponse": [[1,"name","string",""],[2,"versions","string","repeated"],[3,"platform","string",""],[4,"inputs","inference.ModelMetadataResponse.TensorMetadata","repeated"],[5,"outputs","inference.ModelMetadataResponse.TensorMetadata","repeated"]],
  "inference.ModelMetadataResponse.TensorMetadata": [[1,"name","string",""],[2,"datatype","string",""],[3,"shape","int64","repeated"]],
  "inference.ModelReadyRequest": [[1,"name","string",""],[2,"version","string",""]],
  "inference.ModelReadyResponse": [[1,"ready","bool",""]],
  "inference.ServerLiveResponse": [[1,"live","bool",""]],
  "inference.ServerMetadataResponse": [[1,"name","string",""],[2,"version","string",""],[3,"extensions","string","repeated"]],
  "inference.ServerReadyResponse": [[1,"ready","bool",""]],
}

export const ENUMS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  "feast.core.ConflictResolutionPolicy": {"0":"LAST_WRITE_WINS","1":"LABELER_PRIORITY","2":"MAJORITY_VOTE"},
  "feast.core.DataSource.SourceType": {"0":"INVALID","1":"BATCH_FILE","2":"BATCH_BIGQUERY","3":"STREAM_KAFKA","4":"STREAM_KINESIS","5":"BATCH_REDSHIFT","6":"CUSTOM_SOURCE","7":"REQUEST_SOURCE","8":"BATCH_SNOWFLAKE","9":"PUSH_SOURCE","10":"BATCH_TRINO","11":"BATCH_SPARK","12":"BATCH_ATHENA","13":"BATCH_ICEBERG"},
  "feast.core.FeatureViewState": {"0":"STATE_UNSPECIFIED","1":"CREATED","2":"GENERATED","3":"MATERIALIZING","4":"AVAILABLE_ONLINE"},
  "feast.core.PermissionSpec.AuthzedAction": {"0":"CREATE","1":"DESCRIBE","2":"UPDATE","3":"DELETE","4":"READ_ONLINE","5":"READ_OFFLINE","6":"WRITE_ONLINE","7":"WRITE_OFFLINE"},
  "feast.core.PermissionSpec.Type": {"0":"FEATURE_VIEW","1":"ON_DEMAND_FEATURE_VIEW","2":"BATCH_FEATURE_VIEW","3":"STREAM_FEATURE_VIEW","4":"ENTITY","5":"FEATURE_SERVICE","6":"DATA_SOURCE","7":"VALIDATION_REFERENCE","8":"SAVED_DATASET","9":"PERMISSION","10":"PROJECT","11":"LABEL_VIEW"},
  "feast.types.ValueType.Enum": {"0":"INVALID","1":"BYTES","2":"STRING","3":"INT32","4":"INT64","5":"DOUBLE","6":"FLOAT","7":"BOOL","8":"UNIX_TIMESTAMP","11":"BYTES_LIST","12":"STRING_LIST","13":"INT32_LIST","14":"INT64_LIST","15":"DOUBLE_LIST","16":"FLOAT_LIST","17":"BOOL_LIST","18":"UNIX_TIMESTAMP_LIST","19":"NULL","20":"MAP","21":"MAP_LIST","22":"BYTES_SET","23":"STRING_SET","24":"INT32_SET","25":"INT64_SET","26":"DOUBLE_SET","27":"FLOAT_SET","28":"BOOL_SET","29":"UNIX_TIMESTAMP_SET","32":"JSON","33":"JSON_LIST","34":"STRUCT","35":"STRUCT_LIST","36":"UUID","37":"TIME_UUID","38":"UUID_LIST","39":"TIME_UUID_LIST","40":"UUID_SET","41":"TIME_UUID_SET","42":"VALUE_LIST","43":"VALUE_SET","44":"DECIMAL","45":"DECIMAL_LIST","46":"DECIMAL_SET","47":"SCALAR_MAP","48":"ZONED_TIMESTAMP"},
  "grpc.health.v1.HealthCheckResponse.ServingStatus": {"0":"UNKNOWN","1":"SERVING","2":"NOT_SERVING","3":"SERVICE_UNKNOWN"},
}

export type PushRequest = {
  readonly features?: ReadonlyMap<string, string> | undefined
  readonly streamFeatureView?: string | undefined
  readonly allowRegistryCache?: boolean | undefined
  readonly to?: string | undefined
  readonly typedFeatures?: ReadonlyMap<string, Uint8Array> | undefined
}

export type PushResponse = {
  readonly status?: boolean | undefined
}

export type WriteToOnlineStoreRequest = {
  readonly features?: ReadonlyMap<string, string> | undefined
  readonly featureViewName?: string | undefined
  readonly allowRegistryCache?: boolean | undefined
  readonly typedFeatures?: ReadonlyMap<string, Uint8Array> | undefined
}

export type WriteToOnlineStoreResponse = {
  readonly status?: boolean | undefined
}

export type Aggregation = {
  readonly column?: string | undefined
  readonly function?: string | undefined
  readonly timeWindow?: Duration | undefined
  readonly slideInterval?: Duration | undefined
  readonly name?: string | undefined
}

export type CombinedGroupNamespacePolicy = {
  readonly groups?: readonly string[] | undefined
  readonly namespaces?: readonly string[] | undefined
}

export type DataSource = {
  readonly type?: number | undefined
  readonly fieldMapping?: ReadonlyMap<string, string> | undefined
  readonly timestampField?: string | undefined
  readonly datePartitionColumn?: string | undefined
  readonly createdTimestampColumn?: string | undefined
  readonly fileOptions?: DataSourceFileOptions | undefined
  readonly bigqueryOptions?: DataSourceBigQueryOptions | undefined
  readonly kafkaOptions?: DataSourceKafkaOptions | undefined
  readonly kinesisOptions?: DataSourceKinesisOptions | undefined
  readonly redshiftOptions?: DataSourceRedshiftOptions | undefined
  readonly customOptions?: DataSourceCustomSourceOptions | undefined
  readonly dataSourceClassType?: string | undefined
  readonly requestDataOptions?: DataSourceRequestDataOptions | undefined
  readonly snowflakeOptions?: DataSourceSnowflakeOptions | undefined
  readonly name?: string | undefined
  readonly project?: string | undefined
  readonly pushOptions?: DataSourcePushOptions | undefined
  readonly description?: string | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly owner?: string | undefined
  readonly batchSource?: DataSource | undefined
  readonly sparkOptions?: DataSourceSparkOptions | undefined
  readonly timestampFieldType?: string | undefined
  readonly trinoOptions?: DataSourceTrinoOptions | undefined
  readonly athenaOptions?: DataSourceAthenaOptions | undefined
  readonly meta?: DataSourceSourceMeta | undefined
}

export type DataSourceAthenaOptions = {
  readonly table?: string | undefined
  readonly query?: string | undefined
  readonly database?: string | undefined
  readonly dataSource?: string | undefined
}

export type DataSourceBigQueryOptions = {
  readonly table?: string | undefined
  readonly query?: string | undefined
}

export type DataSourceCustomSourceOptions = {
  readonly configuration?: Uint8Array | undefined
}

export type DataSourceFileOptions = {
  readonly fileFormat?: FileFormat | undefined
  readonly uri?: string | undefined
  readonly s3EndpointOverride?: string | undefined
}

export type DataSourceKafkaOptions = {
  readonly kafkaBootstrapServers?: string | undefined
  readonly topic?: string | undefined
  readonly messageFormat?: StreamFormat | undefined
  readonly watermarkDelayThreshold?: Duration | undefined
}

export type DataSourceKinesisOptions = {
  readonly region?: string | undefined
  readonly streamName?: string | undefined
  readonly recordFormat?: StreamFormat | undefined
}

export type DataSourcePushOptions = {
}

export type DataSourceRedshiftOptions = {
  readonly table?: string | undefined
  readonly query?: string | undefined
  readonly schema?: string | undefined
  readonly database?: string | undefined
}

export type DataSourceRequestDataOptions = {
  readonly deprecatedSchema?: ReadonlyMap<string, number> | undefined
  readonly schema?: readonly FeatureSpecV2[] | undefined
}

export type DataSourceSnowflakeOptions = {
  readonly table?: string | undefined
  readonly query?: string | undefined
  readonly schema?: string | undefined
  readonly database?: string | undefined
}

export type DataSourceSourceMeta = {
  readonly earliestEventTimestamp?: Timestamp | undefined
  readonly latestEventTimestamp?: Timestamp | undefined
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
}

export type DataSourceSparkOptions = {
  readonly table?: string | undefined
  readonly query?: string | undefined
  readonly path?: string | undefined
  readonly fileFormat?: string | undefined
  readonly datePartitionColumnFormat?: string | undefined
  readonly tableFormat?: TableFormat | undefined
}

export type DataSourceTrinoOptions = {
  readonly table?: string | undefined
  readonly query?: string | undefined
}

export type DatastoreTable = {
  readonly project?: string | undefined
  readonly name?: string | undefined
  readonly projectId?: StringValue | undefined
  readonly namespace?: StringValue | undefined
  readonly database?: StringValue | undefined
}

export type Entity = {
  readonly spec?: EntitySpecV2 | undefined
  readonly meta?: EntityMeta | undefined
}

export type EntityMeta = {
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
}

export type EntitySpecV2 = {
  readonly name?: string | undefined
  readonly valueType?: number | undefined
  readonly description?: string | undefined
  readonly joinKey?: string | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly project?: string | undefined
  readonly owner?: string | undefined
}

export type FeatureService = {
  readonly spec?: FeatureServiceSpec | undefined
  readonly meta?: FeatureServiceMeta | undefined
}

export type FeatureServiceMeta = {
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
}

export type FeatureServiceSpec = {
  readonly name?: string | undefined
  readonly project?: string | undefined
  readonly features?: readonly FeatureViewProjection[] | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly description?: string | undefined
  readonly owner?: string | undefined
  readonly loggingConfig?: LoggingConfig | undefined
  readonly precomputeOnline?: boolean | undefined
}

export type FeatureSpecV2 = {
  readonly name?: string | undefined
  readonly valueType?: number | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly description?: string | undefined
  readonly vectorIndex?: boolean | undefined
  readonly vectorSearchMetric?: string | undefined
  readonly vectorLength?: number | undefined
}

export type FeatureTable = {
  readonly spec?: FeatureTableSpec | undefined
  readonly meta?: FeatureTableMeta | undefined
}

export type FeatureTableMeta = {
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
  readonly revision?: bigint | undefined
  readonly hash?: string | undefined
}

export type FeatureTableSpec = {
  readonly name?: string | undefined
  readonly entities?: readonly string[] | undefined
  readonly features?: readonly FeatureSpecV2[] | undefined
  readonly labels?: ReadonlyMap<string, string> | undefined
  readonly maxAge?: Duration | undefined
  readonly batchSource?: DataSource | undefined
  readonly streamSource?: DataSource | undefined
  readonly project?: string | undefined
}

export type FeatureTransformationV2 = {
  readonly userDefinedFunction?: UserDefinedFunctionV2 | undefined
  readonly substraitTransformation?: SubstraitTransformationV2 | undefined
}

export type FeatureView = {
  readonly spec?: FeatureViewSpec | undefined
  readonly meta?: FeatureViewMeta | undefined
}

export type FeatureViewMeta = {
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
  readonly materializationIntervals?: readonly MaterializationInterval[] | undefined
  readonly currentVersionNumber?: number | undefined
  readonly versionId?: string | undefined
  readonly state?: number | undefined
}

export type FeatureViewProjection = {
  readonly featureViewName?: string | undefined
  readonly featureColumns?: readonly FeatureSpecV2[] | undefined
  readonly featureViewNameAlias?: string | undefined
  readonly joinKeyMap?: ReadonlyMap<string, string> | undefined
  readonly timestampField?: string | undefined
  readonly datePartitionColumn?: string | undefined
  readonly createdTimestampColumn?: string | undefined
  readonly batchSource?: DataSource | undefined
  readonly streamSource?: DataSource | undefined
  readonly versionTag?: number | undefined
  readonly viewType?: string | undefined
}

export type FeatureViewSpec = {
  readonly name?: string | undefined
  readonly project?: string | undefined
  readonly entities?: readonly string[] | undefined
  readonly features?: readonly FeatureSpecV2[] | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly ttl?: Duration | undefined
  readonly batchSource?: DataSource | undefined
  readonly online?: boolean | undefined
  readonly streamSource?: DataSource | undefined
  readonly description?: string | undefined
  readonly owner?: string | undefined
  readonly entityColumns?: readonly FeatureSpecV2[] | undefined
  readonly offline?: boolean | undefined
  readonly sourceViews?: readonly FeatureViewSpec[] | undefined
  readonly featureTransformation?: FeatureTransformationV2 | undefined
  readonly mode?: string | undefined
  readonly enableValidation?: boolean | undefined
  readonly version?: string | undefined
  readonly org?: string | undefined
  readonly disabled?: boolean | undefined
}

export type FeatureViewVersionHistory = {
  readonly records?: readonly FeatureViewVersionRecord[] | undefined
}

export type FeatureViewVersionRecord = {
  readonly featureViewName?: string | undefined
  readonly projectId?: string | undefined
  readonly versionNumber?: number | undefined
  readonly featureViewType?: string | undefined
  readonly featureViewProto?: Uint8Array | undefined
  readonly createdTimestamp?: Timestamp | undefined
  readonly description?: string | undefined
  readonly versionId?: string | undefined
}

export type FileFormat = {
  readonly parquetFormat?: FileFormatParquetFormat | undefined
  readonly deltaFormat?: TableFormatDeltaFormat | undefined
}

export type FileFormatParquetFormat = {
}

export type GEValidationProfile = {
  readonly expectationSuite?: Uint8Array | undefined
}

export type GEValidationProfiler = {
  readonly profiler?: GEValidationProfilerUserDefinedProfiler | undefined
}

export type GEValidationProfilerUserDefinedProfiler = {
  readonly body?: Uint8Array | undefined
}

export type GroupBasedPolicy = {
  readonly groups?: readonly string[] | undefined
}

export type Infra = {
  readonly infraObjects?: readonly InfraObject[] | undefined
}

export type InfraObject = {
  readonly infraObjectClassType?: string | undefined
  readonly datastoreTable?: DatastoreTable | undefined
  readonly sqliteTable?: SqliteTable | undefined
  readonly customInfra?: InfraObjectCustomInfra | undefined
}

export type InfraObjectCustomInfra = {
  readonly field?: Uint8Array | undefined
}

export type LabelView = {
  readonly spec?: LabelViewSpec | undefined
  readonly meta?: LabelViewMeta | undefined
}

export type LabelViewMeta = {
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
}

export type LabelViewSpec = {
  readonly name?: string | undefined
  readonly project?: string | undefined
  readonly entities?: readonly string[] | undefined
  readonly features?: readonly FeatureSpecV2[] | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly ttl?: Duration | undefined
  readonly source?: DataSource | undefined
  readonly online?: boolean | undefined
  readonly description?: string | undefined
  readonly owner?: string | undefined
  readonly entityColumns?: readonly FeatureSpecV2[] | undefined
  readonly labelerField?: string | undefined
  readonly conflictPolicy?: number | undefined
  readonly retainHistory?: boolean | undefined
  readonly referenceFeatureView?: string | undefined
}

export type LoggingConfig = {
  readonly sampleRate?: number | undefined
  readonly fileDestination?: LoggingConfigFileDestination | undefined
  readonly bigqueryDestination?: LoggingConfigBigQueryDestination | undefined
  readonly redshiftDestination?: LoggingConfigRedshiftDestination | undefined
  readonly snowflakeDestination?: LoggingConfigSnowflakeDestination | undefined
  readonly customDestination?: LoggingConfigCustomDestination | undefined
  readonly athenaDestination?: LoggingConfigAthenaDestination | undefined
  readonly couchbaseColumnarDestination?: LoggingConfigCouchbaseColumnarDestination | undefined
}

export type LoggingConfigAthenaDestination = {
  readonly tableName?: string | undefined
}

export type LoggingConfigBigQueryDestination = {
  readonly tableRef?: string | undefined
}

export type LoggingConfigCouchbaseColumnarDestination = {
  readonly database?: string | undefined
  readonly scope?: string | undefined
  readonly collection?: string | undefined
}

export type LoggingConfigCustomDestination = {
  readonly kind?: string | undefined
  readonly config?: ReadonlyMap<string, string> | undefined
}

export type LoggingConfigFileDestination = {
  readonly path?: string | undefined
  readonly s3EndpointOverride?: string | undefined
  readonly partitionBy?: readonly string[] | undefined
}

export type LoggingConfigRedshiftDestination = {
  readonly tableName?: string | undefined
}

export type LoggingConfigSnowflakeDestination = {
  readonly tableName?: string | undefined
}

export type MaterializationInterval = {
  readonly startTime?: Timestamp | undefined
  readonly endTime?: Timestamp | undefined
}

export type NamespaceBasedPolicy = {
  readonly namespaces?: readonly string[] | undefined
}

export type OnDemandFeatureView = {
  readonly spec?: OnDemandFeatureViewSpec | undefined
  readonly meta?: OnDemandFeatureViewMeta | undefined
}

export type OnDemandFeatureViewMeta = {
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
  readonly currentVersionNumber?: number | undefined
  readonly versionId?: string | undefined
  readonly state?: number | undefined
}

export type OnDemandFeatureViewSpec = {
  readonly name?: string | undefined
  readonly project?: string | undefined
  readonly features?: readonly FeatureSpecV2[] | undefined
  readonly sources?: ReadonlyMap<string, OnDemandSource> | undefined
  readonly userDefinedFunction?: UserDefinedFunction | undefined
  readonly description?: string | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly owner?: string | undefined
  readonly featureTransformation?: FeatureTransformationV2 | undefined
  readonly mode?: string | undefined
  readonly writeToOnlineStore?: boolean | undefined
  readonly entities?: readonly string[] | undefined
  readonly entityColumns?: readonly FeatureSpecV2[] | undefined
  readonly singleton?: boolean | undefined
  readonly aggregations?: readonly Aggregation[] | undefined
  readonly version?: string | undefined
  readonly org?: string | undefined
  readonly disabled?: boolean | undefined
}

export type OnDemandSource = {
  readonly featureView?: FeatureView | undefined
  readonly requestDataSource?: DataSource | undefined
  readonly featureViewProjection?: FeatureViewProjection | undefined
}

export type Permission = {
  readonly spec?: PermissionSpec | undefined
  readonly meta?: PermissionMeta | undefined
}

export type PermissionMeta = {
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
}

export type PermissionSpec = {
  readonly name?: string | undefined
  readonly project?: string | undefined
  readonly types?: readonly number[] | undefined
  readonly namePatterns?: readonly string[] | undefined
  readonly requiredTags?: ReadonlyMap<string, string> | undefined
  readonly actions?: readonly number[] | undefined
  readonly policy?: Policy | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
}

export type Policy = {
  readonly name?: string | undefined
  readonly project?: string | undefined
  readonly roleBasedPolicy?: RoleBasedPolicy | undefined
  readonly groupBasedPolicy?: GroupBasedPolicy | undefined
  readonly namespaceBasedPolicy?: NamespaceBasedPolicy | undefined
  readonly combinedGroupNamespacePolicy?: CombinedGroupNamespacePolicy | undefined
}

export type Project = {
  readonly spec?: ProjectSpec | undefined
  readonly meta?: ProjectMeta | undefined
}

export type ProjectMeta = {
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
}

export type ProjectMetadata = {
  readonly project?: string | undefined
  readonly projectUuid?: string | undefined
}

export type ProjectSpec = {
  readonly name?: string | undefined
  readonly description?: string | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly owner?: string | undefined
}

export type Registry = {
  readonly entities?: readonly Entity[] | undefined
  readonly featureTables?: readonly FeatureTable[] | undefined
  readonly registrySchemaVersion?: string | undefined
  readonly versionId?: string | undefined
  readonly lastUpdated?: Timestamp | undefined
  readonly featureViews?: readonly FeatureView[] | undefined
  readonly featureServices?: readonly FeatureService[] | undefined
  readonly onDemandFeatureViews?: readonly OnDemandFeatureView[] | undefined
  readonly infra?: Infra | undefined
  readonly savedDatasets?: readonly SavedDataset[] | undefined
  readonly dataSources?: readonly DataSource[] | undefined
  readonly validationReferences?: readonly ValidationReference[] | undefined
  readonly streamFeatureViews?: readonly StreamFeatureView[] | undefined
  readonly projectMetadata?: readonly ProjectMetadata[] | undefined
  readonly permissions?: readonly Permission[] | undefined
  readonly projects?: readonly Project[] | undefined
  readonly featureViewVersionHistory?: FeatureViewVersionHistory | undefined
  readonly labelViews?: readonly LabelView[] | undefined
}

export type RoleBasedPolicy = {
  readonly roles?: readonly string[] | undefined
}

export type SavedDataset = {
  readonly spec?: SavedDatasetSpec | undefined
  readonly meta?: SavedDatasetMeta | undefined
}

export type SavedDatasetMeta = {
  readonly createdTimestamp?: Timestamp | undefined
  readonly lastUpdatedTimestamp?: Timestamp | undefined
  readonly minEventTimestamp?: Timestamp | undefined
  readonly maxEventTimestamp?: Timestamp | undefined
}

export type SavedDatasetSpec = {
  readonly name?: string | undefined
  readonly project?: string | undefined
  readonly features?: readonly string[] | undefined
  readonly joinKeys?: readonly string[] | undefined
  readonly fullFeatureNames?: boolean | undefined
  readonly storage?: SavedDatasetStorage | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly featureServiceName?: string | undefined
  readonly namespace?: string | undefined
  readonly collection?: string | undefined
  readonly description?: string | undefined
}

export type SavedDatasetStorage = {
  readonly fileStorage?: DataSourceFileOptions | undefined
  readonly bigqueryStorage?: DataSourceBigQueryOptions | undefined
  readonly redshiftStorage?: DataSourceRedshiftOptions | undefined
  readonly snowflakeStorage?: DataSourceSnowflakeOptions | undefined
  readonly trinoStorage?: DataSourceTrinoOptions | undefined
  readonly sparkStorage?: DataSourceSparkOptions | undefined
  readonly customStorage?: DataSourceCustomSourceOptions | undefined
  readonly athenaStorage?: DataSourceAthenaOptions | undefined
}

export type SqliteTable = {
  readonly path?: string | undefined
  readonly name?: string | undefined
}

export type StreamFeatureView = {
  readonly spec?: StreamFeatureViewSpec | undefined
  readonly meta?: FeatureViewMeta | undefined
}

export type StreamFeatureViewSpec = {
  readonly name?: string | undefined
  readonly project?: string | undefined
  readonly entities?: readonly string[] | undefined
  readonly features?: readonly FeatureSpecV2[] | undefined
  readonly entityColumns?: readonly FeatureSpecV2[] | undefined
  readonly description?: string | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly owner?: string | undefined
  readonly ttl?: Duration | undefined
  readonly batchSource?: DataSource | undefined
  readonly streamSource?: DataSource | undefined
  readonly online?: boolean | undefined
  readonly userDefinedFunction?: UserDefinedFunction | undefined
  readonly mode?: string | undefined
  readonly aggregations?: readonly Aggregation[] | undefined
  readonly timestampField?: string | undefined
  readonly featureTransformation?: FeatureTransformationV2 | undefined
  readonly enableTiling?: boolean | undefined
  readonly tilingHopSize?: Duration | undefined
  readonly enableValidation?: boolean | undefined
  readonly version?: string | undefined
  readonly org?: string | undefined
  readonly disabled?: boolean | undefined
}

export type StreamFormat = {
  readonly avroFormat?: StreamFormatAvroFormat | undefined
  readonly protoFormat?: StreamFormatProtoFormat | undefined
  readonly jsonFormat?: StreamFormatJsonFormat | undefined
}

export type StreamFormatAvroFormat = {
  readonly schemaJson?: string | undefined
}

export type StreamFormatJsonFormat = {
  readonly schemaJson?: string | undefined
}

export type StreamFormatProtoFormat = {
  readonly classPath?: string | undefined
}

export type SubstraitTransformationV2 = {
  readonly substraitPlan?: Uint8Array | undefined
  readonly ibisFunction?: Uint8Array | undefined
}

export type TableFormat = {
  readonly icebergFormat?: TableFormatIcebergFormat | undefined
  readonly deltaFormat?: TableFormatDeltaFormat | undefined
  readonly hudiFormat?: TableFormatHudiFormat | undefined
}

export type TableFormatDeltaFormat = {
  readonly checkpointLocation?: string | undefined
  readonly properties?: ReadonlyMap<string, string> | undefined
}

export type TableFormatHudiFormat = {
  readonly tableType?: string | undefined
  readonly recordKey?: string | undefined
  readonly precombineField?: string | undefined
  readonly properties?: ReadonlyMap<string, string> | undefined
}

export type TableFormatIcebergFormat = {
  readonly catalog?: string | undefined
  readonly namespace?: string | undefined
  readonly properties?: ReadonlyMap<string, string> | undefined
}

export type UserDefinedFunction = {
  readonly name?: string | undefined
  readonly body?: Uint8Array | undefined
  readonly bodyText?: string | undefined
}

export type UserDefinedFunctionV2 = {
  readonly name?: string | undefined
  readonly body?: Uint8Array | undefined
  readonly bodyText?: string | undefined
  readonly mode?: string | undefined
}

export type ValidationReference = {
  readonly name?: string | undefined
  readonly referenceDatasetName?: string | undefined
  readonly project?: string | undefined
  readonly description?: string | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly geProfiler?: GEValidationProfiler | undefined
  readonly geProfile?: GEValidationProfile | undefined
}

export type FeatureList = {
  readonly val?: readonly string[] | undefined
}

export type FeatureViewMetadata = {
  readonly name?: string | undefined
  readonly version?: number | undefined
}

export type GetFeastServingInfoResponse = {
  readonly version?: string | undefined
}

export type GetOnlineFeaturesResponseMetadata = {
  readonly featureNames?: FeatureList | undefined
  readonly featureViewMetadata?: readonly FeatureViewMetadata[] | undefined
}

export type Duration = {
  readonly seconds?: bigint | undefined
  readonly nanos?: number | undefined
}

export type StringValue = {
  readonly value?: string | undefined
}

export type Timestamp = {
  readonly seconds?: bigint | undefined
  readonly nanos?: number | undefined
}

export type HealthCheckRequest = {
  readonly service?: string | undefined
}

export type HealthCheckResponse = {
  readonly status?: number | undefined
}

export type HealthListResponse = {
  readonly statuses?: ReadonlyMap<string, HealthCheckResponse> | undefined
}

export type ErrorResponse = {
  readonly errorCode?: number | undefined
  readonly errorMessage?: string | undefined
}

export type ExtensionNumberResponse = {
  readonly baseTypeName?: string | undefined
  readonly extensionNumber?: readonly number[] | undefined
}

export type ExtensionRequest = {
  readonly containingType?: string | undefined
  readonly extensionNumber?: number | undefined
}

export type FileDescriptorResponse = {
  readonly fileDescriptorProto?: readonly Uint8Array[] | undefined
}

export type ListServiceResponse = {
  readonly service?: readonly ServiceResponse[] | undefined
}

export type ServerReflectionRequest = {
  readonly host?: string | undefined
  readonly fileByFilename?: string | undefined
  readonly fileContainingSymbol?: string | undefined
  readonly fileContainingExtension?: ExtensionRequest | undefined
  readonly allExtensionNumbersOfType?: string | undefined
  readonly listServices?: string | undefined
}

export type ServerReflectionResponse = {
  readonly validHost?: string | undefined
  readonly originalRequest?: ServerReflectionRequest | undefined
  readonly fileDescriptorResponse?: FileDescriptorResponse | undefined
  readonly allExtensionNumbersResponse?: ExtensionNumberResponse | undefined
  readonly listServicesResponse?: ListServiceResponse | undefined
  readonly errorResponse?: ErrorResponse | undefined
}

export type ServiceResponse = {
  readonly name?: string | undefined
}

export type InferParameter = {
  readonly boolParam?: boolean | undefined
  readonly int64Param?: bigint | undefined
  readonly stringParam?: string | undefined
  readonly doubleParam?: number | undefined
  readonly uint64Param?: bigint | undefined
}

export type InferTensorContents = {
  readonly boolContents?: readonly boolean[] | undefined
  readonly intContents?: readonly number[] | undefined
  readonly int64Contents?: readonly bigint[] | undefined
  readonly uintContents?: readonly number[] | undefined
  readonly uint64Contents?: readonly bigint[] | undefined
  readonly fp32Contents?: readonly number[] | undefined
  readonly fp64Contents?: readonly number[] | undefined
  readonly bytesContents?: readonly Uint8Array[] | undefined
}

export type ModelInferRequest = {
  readonly modelName?: string | undefined
  readonly modelVersion?: string | undefined
  readonly id?: string | undefined
  readonly parameters?: ReadonlyMap<string, InferParameter> | undefined
  readonly inputs?: readonly ModelInferRequestInferInputTensor[] | undefined
  readonly outputs?: readonly ModelInferRequestInferRequestedOutputTensor[] | undefined
  readonly rawInputContents?: readonly Uint8Array[] | undefined
}

export type ModelInferRequestInferInputTensor = {
  readonly name?: string | undefined
  readonly datatype?: string | undefined
  readonly shape?: readonly bigint[] | undefined
  readonly parameters?: ReadonlyMap<string, InferParameter> | undefined
  readonly contents?: InferTensorContents | undefined
}

export type ModelInferRequestInferRequestedOutputTensor = {
  readonly name?: string | undefined
  readonly parameters?: ReadonlyMap<string, InferParameter> | undefined
}

export type ModelInferResponse = {
  readonly modelName?: string | undefined
  readonly modelVersion?: string | undefined
  readonly id?: string | undefined
  readonly parameters?: ReadonlyMap<string, InferParameter> | undefined
  readonly outputs?: readonly ModelInferResponseInferOutputTensor[] | undefined
  readonly rawOutputContents?: readonly Uint8Array[] | undefined
}

export type ModelInferResponseInferOutputTensor = {
  readonly name?: string | undefined
  readonly datatype?: string | undefined
  readonly shape?: readonly bigint[] | undefined
  readonly parameters?: ReadonlyMap<string, InferParameter> | undefined
  readonly contents?: InferTensorContents | undefined
}

export type ModelMetadataRequest = {
  readonly name?: string | undefined
  readonly version?: string | undefined
}

export type ModelMetadataResponse = {
  readonly name?: string | undefined
  readonly versions?: readonly string[] | undefined
  readonly platform?: string | undefined
  readonly inputs?: readonly ModelMetadataResponseTensorMetadata[] | undefined
  readonly outputs?: readonly ModelMetadataResponseTensorMetadata[] | undefined
}

export type ModelMetadataResponseTensorMetadata = {
  readonly name?: string | undefined
  readonly datatype?: string | undefined
  readonly shape?: readonly bigint[] | undefined
}

export type ModelReadyRequest = {
  readonly name?: string | undefined
  readonly version?: string | undefined
}

export type ModelReadyResponse = {
  readonly ready?: boolean | undefined
}

export type ServerLiveResponse = {
  readonly live?: boolean | undefined
}

export type ServerMetadataResponse = {
  readonly name?: string | undefined
  readonly version?: string | undefined
  readonly extensions?: readonly string[] | undefined
}

export type ServerReadyResponse = {
  readonly ready?: boolean | undefined
}

export interface MessageTypes {
  readonly "PushRequest": PushRequest
  readonly "PushResponse": PushResponse
  readonly "WriteToOnlineStoreRequest": WriteToOnlineStoreRequest
  readonly "WriteToOnlineStoreResponse": WriteToOnlineStoreResponse
  readonly "feast.core.Aggregation": Aggregation
  readonly "feast.core.CombinedGroupNamespacePolicy": CombinedGroupNamespacePolicy
  readonly "feast.core.DataSource": DataSource
  readonly "feast.core.DataSource.AthenaOptions": DataSourceAthenaOptions
  readonly "feast.core.DataSource.BigQueryOptions": DataSourceBigQueryOptions
  readonly "feast.core.DataSource.CustomSourceOptions": DataSourceCustomSourceOptions
  readonly "feast.core.DataSource.FileOptions": DataSourceFileOptions
  readonly "feast.core.DataSource.KafkaOptions": DataSourceKafkaOptions
  readonly "feast.core.DataSource.KinesisOptions": DataSourceKinesisOptions
  readonly "feast.core.DataSource.PushOptions": DataSourcePushOptions
  readonly "feast.core.DataSource.RedshiftOptions": DataSourceRedshiftOptions
  readonly "feast.core.DataSource.RequestDataOptions": DataSourceRequestDataOptions
  readonly "feast.core.DataSource.SnowflakeOptions": DataSourceSnowflakeOptions
  readonly "feast.core.DataSource.SourceMeta": DataSourceSourceMeta
  readonly "feast.core.DataSource.SparkOptions": DataSourceSparkOptions
  readonly "feast.core.DataSource.TrinoOptions": DataSourceTrinoOptions
  readonly "feast.core.DatastoreTable": DatastoreTable
  readonly "feast.core.Entity": Entity
  readonly "feast.core.EntityMeta": EntityMeta
  readonly "feast.core.EntitySpecV2": EntitySpecV2
  readonly "feast.core.FeatureService": FeatureService
  readonly "feast.core.FeatureServiceMeta": FeatureServiceMeta
  readonly "feast.core.FeatureServiceSpec": FeatureServiceSpec
  readonly "feast.core.FeatureSpecV2": FeatureSpecV2
  readonly "feast.core.FeatureTable": FeatureTable
  readonly "feast.core.FeatureTableMeta": FeatureTableMeta
  readonly "feast.core.FeatureTableSpec": FeatureTableSpec
  readonly "feast.core.FeatureTransformationV2": FeatureTransformationV2
  readonly "feast.core.FeatureView": FeatureView
  readonly "feast.core.FeatureViewMeta": FeatureViewMeta
  readonly "feast.core.FeatureViewProjection": FeatureViewProjection
  readonly "feast.core.FeatureViewSpec": FeatureViewSpec
  readonly "feast.core.FeatureViewVersionHistory": FeatureViewVersionHistory
  readonly "feast.core.FeatureViewVersionRecord": FeatureViewVersionRecord
  readonly "feast.core.FileFormat": FileFormat
  readonly "feast.core.FileFormat.ParquetFormat": FileFormatParquetFormat
  readonly "feast.core.GEValidationProfile": GEValidationProfile
  readonly "feast.core.GEValidationProfiler": GEValidationProfiler
  readonly "feast.core.GEValidationProfiler.UserDefinedProfiler": GEValidationProfilerUserDefinedProfiler
  readonly "feast.core.GroupBasedPolicy": GroupBasedPolicy
  readonly "feast.core.Infra": Infra
  readonly "feast.core.InfraObject": InfraObject
  readonly "feast.core.InfraObject.CustomInfra": InfraObjectCustomInfra
  readonly "feast.core.LabelView": LabelView
  readonly "feast.core.LabelViewMeta": LabelViewMeta
  readonly "feast.core.LabelViewSpec": LabelViewSpec
  readonly "feast.core.LoggingConfig": LoggingConfig
  readonly "feast.core.LoggingConfig.AthenaDestination": LoggingConfigAthenaDestination
  readonly "feast.core.LoggingConfig.BigQueryDestination": LoggingConfigBigQueryDestination
  readonly "feast.core.LoggingConfig.CouchbaseColumnarDestination": LoggingConfigCouchbaseColumnarDestination
  readonly "feast.core.LoggingConfig.CustomDestination": LoggingConfigCustomDestination
  readonly "feast.core.LoggingConfig.FileDestination": LoggingConfigFileDestination
  readonly "feast.core.LoggingConfig.RedshiftDestination": LoggingConfigRedshiftDestination
  readonly "feast.core.LoggingConfig.SnowflakeDestination": LoggingConfigSnowflakeDestination
  readonly "feast.core.MaterializationInterval": MaterializationInterval
  readonly "feast.core.NamespaceBasedPolicy": NamespaceBasedPolicy
  readonly "feast.core.OnDemandFeatureView": OnDemandFeatureView
  readonly "feast.core.OnDemandFeatureViewMeta": OnDemandFeatureViewMeta
  readonly "feast.core.OnDemandFeatureViewSpec": OnDemandFeatureViewSpec
  readonly "feast.core.OnDemandSource": OnDemandSource
  readonly "feast.core.Permission": Permission
  readonly "feast.core.PermissionMeta": PermissionMeta
  readonly "feast.core.PermissionSpec": PermissionSpec
  readonly "feast.core.Policy": Policy
  readonly "feast.core.Project": Project
  readonly "feast.core.ProjectMeta": ProjectMeta
  readonly "feast.core.ProjectMetadata": ProjectMetadata
  readonly "feast.core.ProjectSpec": ProjectSpec
  readonly "feast.core.Registry": Registry
  readonly "feast.core.RoleBasedPolicy": RoleBasedPolicy
  readonly "feast.core.SavedDataset": SavedDataset
  readonly "feast.core.SavedDatasetMeta": SavedDatasetMeta
  readonly "feast.core.SavedDatasetSpec": SavedDatasetSpec
  readonly "feast.core.SavedDatasetStorage": SavedDatasetStorage
  readonly "feast.core.SqliteTable": SqliteTable
  readonly "feast.core.StreamFeatureView": StreamFeatureView
  readonly "feast.core.StreamFeatureViewSpec": StreamFeatureViewSpec
  readonly "feast.core.StreamFormat": StreamFormat
  readonly "feast.core.StreamFormat.AvroFormat": StreamFormatAvroFormat
  readonly "feast.core.StreamFormat.JsonFormat": StreamFormatJsonFormat
  readonly "feast.core.StreamFormat.ProtoFormat": StreamFormatProtoFormat
  readonly "feast.core.SubstraitTransformationV2": SubstraitTransformationV2
  readonly "feast.core.TableFormat": TableFormat
  readonly "feast.core.TableFormat.DeltaFormat": TableFormatDeltaFormat
  readonly "feast.core.TableFormat.HudiFormat": TableFormatHudiFormat
  readonly "feast.core.TableFormat.IcebergFormat": TableFormatIcebergFormat
  readonly "feast.core.UserDefinedFunction": UserDefinedFunction
  readonly "feast.core.UserDefinedFunctionV2": UserDefinedFunctionV2
  readonly "feast.core.ValidationReference": ValidationReference
  readonly "feast.serving.FeatureList": FeatureList
  readonly "feast.serving.FeatureViewMetadata": FeatureViewMetadata
  readonly "feast.serving.GetFeastServingInfoResponse": GetFeastServingInfoResponse
  readonly "feast.serving.GetOnlineFeaturesResponseMetadata": GetOnlineFeaturesResponseMetadata
  readonly "google.protobuf.Duration": Duration
  readonly "google.protobuf.StringValue": StringValue
  readonly "google.protobuf.Timestamp": Timestamp
  readonly "grpc.health.v1.HealthCheckRequest": HealthCheckRequest
  readonly "grpc.health.v1.HealthCheckResponse": HealthCheckResponse
  readonly "grpc.health.v1.HealthListResponse": HealthListResponse
  readonly "grpc.reflection.v1.ErrorResponse": ErrorResponse
  readonly "grpc.reflection.v1.ExtensionNumberResponse": ExtensionNumberResponse
  readonly "grpc.reflection.v1.ExtensionRequest": ExtensionRequest
  readonly "grpc.reflection.v1.FileDescriptorResponse": FileDescriptorResponse
  readonly "grpc.reflection.v1.ListServiceResponse": ListServiceResponse
  readonly "grpc.reflection.v1.ServerReflectionRequest": ServerReflectionRequest
  readonly "grpc.reflection.v1.ServerReflectionResponse": ServerReflectionResponse
  readonly "grpc.reflection.v1.ServiceResponse": ServiceResponse
  readonly "inference.InferParameter": InferParameter
  readonly "inference.InferTensorContents": InferTensorContents
  readonly "inference.ModelInferRequest": ModelInferRequest
  readonly "inference.ModelInferRequest.InferInputTensor": ModelInferRequestInferInputTensor
  readonly "inference.ModelInferRequest.InferRequestedOutputTensor": ModelInferRequestInferRequestedOutputTensor
  readonly "inference.ModelInferResponse": ModelInferResponse
  readonly "inference.ModelInferResponse.InferOutputTensor": ModelInferResponseInferOutputTensor
  readonly "inference.ModelMetadataRequest": ModelMetadataRequest
  readonly "inference.ModelMetadataResponse": ModelMetadataResponse
  readonly "inference.ModelMetadataResponse.TensorMetadata": ModelMetadataResponseTensorMetadata
  readonly "inference.ModelReadyRequest": ModelReadyRequest
  readonly "inference.ModelReadyResponse": ModelReadyResponse
  readonly "inference.ServerLiveResponse": ServerLiveResponse
  readonly "inference.ServerMetadataResponse": ServerMetadataResponse
  readonly "inference.ServerReadyResponse": ServerReadyResponse
}
